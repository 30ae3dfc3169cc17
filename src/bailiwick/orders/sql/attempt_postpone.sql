-- Look at an open attempt again after a while. $1: id, $2: milliseconds from now.
UPDATE attempt SET next_check_at = clock_timestamp() + $2 * interval '1 millisecond'
 WHERE id = $1 AND state IN ('permitted', 'pending', 'unknown')
