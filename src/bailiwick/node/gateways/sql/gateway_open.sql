-- How many attempts at each gateway have no definite outcome. Those without a time of their next look were
-- permitted since the last sweep.
SELECT gateway, count(*)
  FROM (SELECT gateway, state FROM attempt WHERE next_check_at IS NOT NULL
         UNION ALL
        SELECT gateway, state FROM attempt
         WHERE next_check_at IS NULL AND permitted_at >= (SELECT swept_until FROM sweep)) open
 WHERE state IN ('permitted', 'pending', 'unknown')
 GROUP BY gateway
