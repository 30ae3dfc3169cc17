-- Permit one replay of an attempt's request: committed before it is sent, counted for ever, and
-- only while the attempt is open and the node not fenced. Never under other credentials than it was sent with: some
-- providers remember a key for each of these, and would do it again. Another process of the node has those that were
-- given within a minute. $1: id, $2: replays made before,
-- $3: the step must be younger than this many milliseconds, $4: the epoch.
UPDATE attempt a SET replays = a.replays + 1, last_permit_at = clock_timestamp()
  FROM (SELECT node FROM fence WHERE fenced_at IS NULL AND epoch <= $4 FOR SHARE) f
 WHERE a.id = $1 AND a.replays = $2 AND a.state IN ('permitted', 'pending', 'unknown')
   AND coalesce(a.stepped_at, a.permitted_at) > clock_timestamp() - $3 * interval '1 millisecond'
   AND NOT EXISTS (SELECT FROM gateway g
                    WHERE g.name = a.gateway AND g.credentials_at > a.permitted_at - interval '1 minute')
RETURNING a.id
