-- A claimed idempotency key, with its answer if there is one: the first event that answers it, by
-- a body of its own or by its object; what holds a person's data stands apart, so that it can be
-- erased. $1: the key's identity.
SELECT k.request_hash, k.operation, k.object, k.expand, k.refused, k.writer, a.answer_status,
       CASE WHEN a.answer_status IS NOT NULL AND a.answer_body IS NULL THEN (
           SELECT coalesce(p.answer, p.body) FROM personal_event p
            WHERE p.subject = a.subject AND p.seq = a.seq)
         ELSE a.answer_body END AS answer_body
  FROM idempotency_key k
  LEFT JOIN LATERAL (SELECT e.subject, e.seq, e.answer_status,
                            coalesce(e.answer_body, e.body) AS answer_body
                       FROM event e WHERE e.subject = k.subject AND e.answer_key = k.key
                      ORDER BY e.seq LIMIT 1) a ON true
 WHERE k.identity = $1
