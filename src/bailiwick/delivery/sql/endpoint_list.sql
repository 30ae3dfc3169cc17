-- All webhook endpoints that are not deleted; they are few and kept in memory.
SELECT id, merchant, livemode, url, secret, events, status, created_ms, details,
       old_secrets
  FROM webhook_endpoint WHERE deleted_ms IS NULL ORDER BY id DESC
