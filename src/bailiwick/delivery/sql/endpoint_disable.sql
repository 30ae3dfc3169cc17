-- Send nothing more to an endpoint whose URL says that it is gone. $1: id, $2: the URL.
UPDATE webhook_endpoint SET status = 'disabled' WHERE id = $1 AND url = $2
