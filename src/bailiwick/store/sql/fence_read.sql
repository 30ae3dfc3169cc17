-- Whether this database may be written, and by whom.
SELECT node, epoch, fenced_at IS NOT NULL AS fenced, draining FROM fence
