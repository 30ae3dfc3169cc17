-- Claim open attempts that are due, and put off their next look so that no other resolver takes
-- them meanwhile; none for a fenced node, or for a process that is behind the fence's epoch.
-- $1: rows at most, $2: lease in milliseconds, $3: the epoch.
UPDATE attempt a
   SET next_check_at = clock_timestamp() + $2 * interval '1 millisecond', checks = a.checks + 1
  FROM (SELECT id FROM attempt WHERE next_check_at <= clock_timestamp()
         ORDER BY next_check_at LIMIT $1 FOR NO KEY UPDATE SKIP LOCKED) due, event e
 WHERE a.id = due.id AND e.subject = a.subject AND e.seq = a.seq
   AND EXISTS (SELECT FROM fence WHERE fenced_at IS NULL AND epoch <= $3)
RETURNING a.id, a.subject, a.number, a.acts_on, a.merchant, a.livemode, a.operation, a.gateway,
       a.state, a.amount, a.currency, a.key, e.instruction, a.provider_ref, a.result,
       (extract(epoch FROM clock_timestamp() - coalesce(a.stepped_at, a.permitted_at)) * 1000)::bigint AS age_ms,
       (extract(epoch FROM clock_timestamp() - a.last_permit_at) * 1000)::bigint AS quiet_ms,
       a.checks, a.replays
