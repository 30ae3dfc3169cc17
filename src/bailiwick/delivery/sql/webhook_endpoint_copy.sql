-- Bring another node's webhook endpoint here, as `webhook_endpoint_rows` has it; a newer one that is here
-- stays. $1: its id, $2: the row.
-- What is owed to one that was deleted is owed no more.
WITH taken AS (
    INSERT INTO webhook_endpoint AS w (id, merchant, livemode, url, secret, events, status, created_ms,
                                       details, old_secrets, version, deleted_ms)
    SELECT r.id, r.merchant, r.livemode, r.url, r.secret, r.events, r.status, r.created_ms, r.details,
           r.old_secrets, r.version, r.deleted_ms
      FROM json_populate_record(NULL::webhook_endpoint, $2::json) r WHERE r.id = $1
    ON CONFLICT (id) DO UPDATE
       SET url = excluded.url, secret = excluded.secret, events = excluded.events,
           status = excluded.status, details = excluded.details,
           old_secrets = excluded.old_secrets, version = excluded.version,
           deleted_ms = excluded.deleted_ms
     WHERE w.version < excluded.version
       AND w.merchant = excluded.merchant AND w.livemode = excluded.livemode
    RETURNING id, deleted_ms
), dropped AS (
    UPDATE delivery d SET next_at = NULL, done_at = now()
      FROM taken t WHERE t.deleted_ms IS NOT NULL AND d.endpoint = t.id AND d.next_at IS NOT NULL
)
SELECT id FROM taken
