-- A claimed idempotency key, with its answer if there is one: the first event that answers it, by
-- a body of its own or by its object. $1: the key's identity.
SELECT k.request_hash, k.operation, k.object, k.expand, k.refused, k.writer, a.answer_status,
       a.answer_body
  FROM idempotency_key k
  LEFT JOIN LATERAL (SELECT e.answer_status, coalesce(e.answer_body, e.body) AS answer_body
                       FROM event e WHERE e.subject = k.subject AND e.answer_key = k.key
                      ORDER BY e.seq LIMIT 1) a ON true
 WHERE k.identity = $1
