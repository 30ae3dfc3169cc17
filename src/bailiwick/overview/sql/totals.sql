-- Sums of payments by node, merchant, mode, currency, day (UTC) and state.
-- $1: ids from this, $2: ids below this, $3: rows at most; then, null for any: $4: merchant,
-- $5: node, $6: currency, $7: live mode.
SELECT node, merchant, livemode, currency,
       to_char(to_timestamp(payment_created_ms / 1000) AT TIME ZONE 'UTC', 'YYYY-MM-DD') AS day,
       state, count(*) AS payments, sum(amount)::bigint AS amount,
       sum(amount_received)::bigint AS amount_received,
       sum(amount_refunded)::bigint AS amount_refunded
  FROM payment_view
 WHERE payment >= $1::text AND payment < $2::text
   AND ($4::text IS NULL OR merchant = $4) AND ($5::integer IS NULL OR node = $5)
   AND ($6::text IS NULL OR currency = $6) AND ($7::boolean IS NULL OR livemode = $7)
 GROUP BY 1, 2, 3, 4, 5, 6
 ORDER BY 5 DESC, 1, 2, 3, 4, 6 LIMIT $3
