-- One dispute. $1: id.
SELECT id, payment, charge, merchant, livemode, gateway, provider_ref, state, funds, amount, fee,
       currency, sequence, open_attempt, due_ms, created_ms, details
  FROM dispute WHERE id = $1
