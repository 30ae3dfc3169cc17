-- The attempts by which an object of a provider is known, in order. $1: gateways, $2: the provider's id.
SELECT a.id, a.subject, a.number, a.acts_on, a.merchant, a.livemode, a.operation, a.gateway, a.state,
       a.amount, a.currency, a.key, e.instruction, a.provider_ref, a.result,
       (extract(epoch FROM clock_timestamp() - coalesce(a.stepped_at, a.permitted_at)) * 1000)::bigint AS age_ms,
       (extract(epoch FROM clock_timestamp() - a.last_permit_at) * 1000)::bigint AS quiet_ms,
       a.checks, a.replays
  FROM known_object k JOIN attempt a ON a.id = k.attempt
       JOIN event e ON e.subject = a.subject AND e.seq = a.seq
 WHERE k.gateway = ANY ($1::text[]) AND k.provider_ref = $2
 ORDER BY a.subject, a.number
