-- Webhook endpoints as other nodes are to have them, deleted ones included. $1: their ids.
SELECT id, version, to_json(e)::text AS row FROM webhook_endpoint e WHERE id = ANY ($1::text[])
