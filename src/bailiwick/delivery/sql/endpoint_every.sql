-- All webhook endpoints as other nodes are to have them, deleted ones included.
SELECT id, merchant, livemode, url, secret, events, status, created_ms, details, old_secrets, version,
       deleted_ms
  FROM webhook_endpoint ORDER BY id
