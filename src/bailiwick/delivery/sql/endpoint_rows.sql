-- Webhook endpoints as other nodes are to have them, deleted ones included. $1: their ids.
SELECT id, merchant, livemode, url, secret, events, status, created_ms, details, old_secrets, version,
       deleted_ms
  FROM webhook_endpoint WHERE id = ANY ($1::text[])
