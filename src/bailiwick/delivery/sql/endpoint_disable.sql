-- Send nothing more to an endpoint whose URL says that it is gone; the other nodes hear of it by its
-- version. $1: id, $2: the URL, $3: the version of a change that is made now.
UPDATE webhook_endpoint
   SET status = 'disabled', version = greatest(version + 1 + ($3::bigint & 1048575), $3)
 WHERE id = $1 AND url = $2 AND status <> 'disabled' AND deleted_ms IS NULL
