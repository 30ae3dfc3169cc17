-- Delete the content of files whose time is over, some at once; no fenced node does.
-- $1: now (milliseconds), $2: at most, $3: the epoch.
DELETE FROM file_content
 WHERE file IN (SELECT file FROM file_content WHERE expires_ms <= $1 ORDER BY expires_ms LIMIT $2)
   AND EXISTS (SELECT FROM fence WHERE fenced_at IS NULL AND epoch <= $3)
RETURNING file
