-- Which of these creates are there? $1: merchants, $2: live modes, $3: keys.
SELECT k.writer
  FROM unnest($1::text[], $2::boolean[], $3::text[]) AS i (merchant, livemode, key)
  JOIN idempotency_key k
    ON k.merchant = i.merchant AND k.livemode = i.livemode AND k.key = i.key
