-- Let the node's process write here again, but none with an older world than this.
-- $1: the epoch from which on.
UPDATE fence SET fenced_at = NULL, epoch = greatest(epoch, $1)
RETURNING node, epoch, fenced_at IS NOT NULL AS fenced, draining
