-- One dispute, as its provider calls it. $1: gateway, $2: the provider's id.
SELECT id, payment, charge, merchant, livemode, gateway, provider_ref, state, funds, amount, fee,
       currency, sequence, open_attempt, due_ms, created_ms, details
  FROM dispute WHERE gateway = $1 AND provider_ref = $2
