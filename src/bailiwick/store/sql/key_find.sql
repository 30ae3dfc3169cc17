-- A claimed idempotency key, with its answer if there is one: its own, or its event's body.
-- $1: merchant, $2: live mode, $3: key.
SELECT k.request_hash, k.operation, k.object, k.expand, k.refused, k.writer, k.answer_status,
       coalesce(k.answer_body, (SELECT e.body FROM event e
                                 WHERE e.merchant = k.merchant AND e.livemode = k.livemode
                                   AND e.id = k.answer_event)) AS answer_body
  FROM idempotency_key k WHERE k.merchant = $1 AND k.livemode = $2 AND k.key = $3
