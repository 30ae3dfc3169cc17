-- One payment. $1: id.
SELECT id, merchant, livemode, version, state, epoch, amount, currency, created_ms, updated_ms,
       details, progress, amount_capturable, amount_received, amount_refunding, amount_refunded,
       attempts, open_attempt, charge_attempt
  FROM payment WHERE id = $1
