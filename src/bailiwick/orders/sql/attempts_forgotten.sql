-- Have the resolver look at attempts that were permitted a while ago and ended by nobody, and note
-- in the same moment how far that was looked: a fenced node looks at nothing, so what was permitted
-- before the fence is still found once it is lifted.
-- $1: permitted since, $2: milliseconds ago at least, $3: the epoch, $4: looked through until.
WITH allowed AS (SELECT FROM fence WHERE fenced_at IS NULL AND epoch <= $3),
     noted AS (
       UPDATE sweep SET swept_until = $4
        WHERE swept_until < $4 AND EXISTS (SELECT FROM allowed)
     )
UPDATE attempt SET next_check_at = clock_timestamp()
 WHERE permitted_at >= $1 AND permitted_at < clock_timestamp() - $2 * interval '1 millisecond'
   AND state = 'permitted' AND next_check_at IS NULL
   AND EXISTS (SELECT FROM allowed)
RETURNING id
