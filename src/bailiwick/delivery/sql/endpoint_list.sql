-- All webhook endpoints; they are few and kept in memory.
SELECT id, merchant, livemode, url, secret, events, status, created_ms, details,
       old_secrets
  FROM webhook_endpoint ORDER BY id DESC
