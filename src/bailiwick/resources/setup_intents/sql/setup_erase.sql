-- A setup's next version, of which the next event tells. $1: its id, $2: the version before,
-- $3: writer, $4: now.
UPDATE setup SET version = version + 1, writer = $3, updated_ms = $4
 WHERE id = $1 AND version = $2
RETURNING version
