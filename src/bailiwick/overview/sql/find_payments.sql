-- A page of payments, newest first. $1: ids below this, $2: ids from this, $3: rows at most;
-- then, null for any: $4: merchant, $5: state, $6: node, $7: currency, $8: live mode,
-- $9: amount at least, $10: amount at most, $11: only those with a gap.
SELECT payment AS id, node, merchant, livemode, state, amount, currency, amount_capturable,
       amount_received, amount_refunded, attempts, charge_attempt, version, epoch,
       payment_created_ms AS created_ms, seen, highest,
       (extract(epoch FROM gap_since) * 1000)::bigint AS gap_since_ms
  FROM payment_view
 WHERE payment < $1::text AND payment >= $2::text
   AND ($4::text IS NULL OR merchant = $4) AND ($5::text IS NULL OR state = $5)
   AND ($6::integer IS NULL OR node = $6) AND ($7::text IS NULL OR currency = $7)
   AND ($8::boolean IS NULL OR livemode = $8)
   AND ($9::bigint IS NULL OR amount >= $9) AND ($10::bigint IS NULL OR amount <= $10)
   AND ($11::boolean IS NULL OR (gap_since IS NOT NULL) = $11)
 ORDER BY payment DESC LIMIT $3
