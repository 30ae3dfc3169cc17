-- All that belongs to a record, locked until the transaction ends. $1: the owner's id.
SELECT id, merchant, livemode, version, active, belongs_to, found_by, stays_with, created_ms,
       updated_ms, details
  FROM record WHERE belongs_to = $1 ORDER BY id FOR UPDATE
