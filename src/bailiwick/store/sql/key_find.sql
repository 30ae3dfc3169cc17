-- A claimed idempotency key. $1: merchant, $2: live mode, $3: key.
SELECT request_hash, operation, object, expand, refused, writer, answer_status, answer_body
  FROM idempotency_key WHERE merchant = $1 AND livemode = $2 AND key = $3
