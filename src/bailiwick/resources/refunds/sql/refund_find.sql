-- One refund. $1: id.
SELECT id, payment, merchant, livemode, state, amount, currency, attempt, created_ms, details
  FROM refund WHERE id = $1
