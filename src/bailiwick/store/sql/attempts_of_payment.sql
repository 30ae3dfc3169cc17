-- All attempts of a payment, in order. $1: payment.
SELECT id, payment, number, refund, merchant, livemode, operation, gateway, state, amount, currency,
       key, instruction, provider_ref, result,
       (extract(epoch FROM clock_timestamp() - permitted_at) * 1000)::bigint AS age_ms,
       (extract(epoch FROM clock_timestamp() - last_permit_at) * 1000)::bigint AS quiet_ms,
       checks, replays
  FROM attempt WHERE payment = $1 ORDER BY number
