-- Send nothing more to an endpoint that says it is gone. $1: id.
UPDATE webhook_endpoint SET status = 'disabled' WHERE id = $1
