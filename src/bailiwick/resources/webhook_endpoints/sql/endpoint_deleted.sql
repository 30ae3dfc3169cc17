-- Whether an id was that of a webhook endpoint that is deleted. $1: it.
SELECT true AS deleted FROM webhook_endpoint WHERE id = $1 AND deleted_ms IS NOT NULL
