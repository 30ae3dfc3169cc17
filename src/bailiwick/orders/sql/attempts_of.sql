-- All attempts of an order, in order: their ids are its own with another prefix. $1: the order.
SELECT a.id, a.subject, a.number, a.acts_on, a.merchant, a.livemode, a.operation, a.gateway, a.state,
       a.amount, a.currency, a.key, e.instruction, a.provider_ref, a.result,
       (extract(epoch FROM clock_timestamp() - coalesce(a.stepped_at, a.permitted_at)) * 1000)::bigint AS age_ms,
       (extract(epoch FROM clock_timestamp() - a.last_permit_at) * 1000)::bigint AS quiet_ms,
       a.checks, a.replays
  FROM attempt a JOIN event e ON e.subject = a.subject AND e.seq = a.seq
 WHERE a.subject = $1
   AND (a.id BETWEEN 'ch_' || split_part($1, '_', 2) AND 'ch_' || split_part($1, '_', 2) || '_~'
        OR a.id BETWEEN 'at_' || split_part($1, '_', 2) AND 'at_' || split_part($1, '_', 2) || '_~')
 ORDER BY a.number
