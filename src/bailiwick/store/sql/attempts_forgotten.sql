-- Have the resolver look at attempts that were permitted a while ago and ended by nobody.
-- $1: permitted since, $2: milliseconds ago at least, $3: the epoch.
UPDATE attempt SET next_check_at = clock_timestamp()
 WHERE permitted_at >= $1 AND permitted_at < clock_timestamp() - $2 * interval '1 millisecond'
   AND state = 'permitted' AND next_check_at IS NULL
   AND EXISTS (SELECT FROM fence WHERE fenced_at IS NULL AND epoch <= $3)
RETURNING id
