-- Records as they are. $1: their ids.
SELECT id, merchant, livemode, version, active, belongs_to, found_by, stays_with, created_ms,
       updated_ms, details
  FROM record WHERE id = ANY ($1::text[])
