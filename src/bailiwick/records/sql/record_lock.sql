-- A record, locked until the transaction ends. $1: id.
SELECT id, merchant, livemode, version, active, belongs_to, found_by, stays_with, created_ms,
       updated_ms, details
  FROM record WHERE id = $1 FOR UPDATE
