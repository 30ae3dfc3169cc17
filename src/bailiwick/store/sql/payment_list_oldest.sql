-- A page of a merchant's payments, oldest first (for ending_before). $1: merchant, $2: live mode,
-- $3: ids below this, $4: ids above this, $5: rows at most, $6: created at or after, $7: at or before (milliseconds),
-- $8: of this customer, or null for all.
SELECT p.id, p.merchant, p.livemode, p.version, p.state, p.epoch, p.amount, p.currency, p.created_ms,
       p.updated_ms, e.content, p.amount_capturable, p.amount_received, p.amount_refunding,
       p.amount_refunded, p.attempts, p.open_attempt, p.charge_attempt
  FROM payment p JOIN event e ON e.payment = p.id AND e.seq = p.content_seq
 WHERE p.merchant = $1 AND p.livemode = $2 AND p.id < $3 AND p.id > $4
   AND p.created_ms BETWEEN $6 AND $7
   AND ($8::text IS NULL OR e.content::json #>> '{progress,customer}' = $8)
 ORDER BY p.id ASC
 LIMIT $5
