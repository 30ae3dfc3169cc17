-- Forget tries that are older than is kept, the oldest first. $1: ids from here on are kept,
-- $2: how many at most.
DELETE FROM delivery_try t
 USING (SELECT id FROM delivery_try WHERE id < $1 ORDER BY id LIMIT $2) old
 WHERE t.id = old.id
RETURNING t.id
