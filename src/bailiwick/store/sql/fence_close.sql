-- Let nothing be written here any more. Waits for the batches under way, which hold the row FOR
-- SHARE. $1: the epoch in force; processes with an older world are shut out for good.
UPDATE fence SET fenced_at = coalesce(fenced_at, now()), epoch = greatest(epoch, $1)
RETURNING node, epoch, fenced_at IS NOT NULL AS fenced, draining
