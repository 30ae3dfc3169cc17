-- How many attempts have no definite outcome, by operation and state. Those without a time of
-- their next look were permitted since the last sweep.
SELECT operation::text, state::text, count(*)
  FROM (SELECT operation, state FROM attempt WHERE next_check_at IS NOT NULL
         UNION ALL
        SELECT operation, state FROM attempt
         WHERE next_check_at IS NULL AND permitted_at >= (SELECT swept_until FROM sweep)) open
 WHERE state IN ('permitted', 'pending', 'unknown')
 GROUP BY operation, state
