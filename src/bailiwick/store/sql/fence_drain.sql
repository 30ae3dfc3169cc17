-- Have new payments refused by tombstone, or take them again. $1: which.
UPDATE fence SET draining = $1
RETURNING node, epoch, fenced_at IS NOT NULL AS fenced, draining
