-- A page of a merchant's payments, newest first. $1: merchant, $2: live mode,
-- $3: ids below this, $4: ids above this, $5: rows at most, $6: created at or after, $7: at or before (milliseconds),
-- $8: of this customer, or null for all.
SELECT id, merchant, livemode, version, state, epoch, amount, currency, created_ms, updated_ms,
       details, progress, amount_capturable, amount_received, amount_refunding, amount_refunded,
       attempts, open_attempt, charge_attempt
  FROM payment
 WHERE merchant = $1 AND livemode = $2 AND id < $3 AND id > $4
       AND created_ms BETWEEN $6 AND $7
 AND ($8::text IS NULL OR progress ->> 'customer' = $8)
 ORDER BY id DESC
 LIMIT $5
