-- One payment. $1: id.
SELECT payment AS id, node, merchant, livemode, state, amount, currency, amount_capturable,
       amount_received, amount_refunded, attempts, charge_attempt, version, epoch,
       payment_created_ms AS created_ms, seen, highest,
       (extract(epoch FROM gap_since) * 1000)::bigint AS gap_since_ms
  FROM payment_view WHERE payment = $1
