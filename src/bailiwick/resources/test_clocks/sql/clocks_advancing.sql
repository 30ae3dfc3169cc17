-- Test clocks that are to advance. $1: rows at most.
SELECT id, merchant, livemode, version, active, belongs_to, found_by, stays_with, created_ms,
       updated_ms, details
  FROM record
 WHERE found_by = 'advancing' AND id LIKE 'clock\_%'
 ORDER BY updated_ms
 LIMIT $1
