-- Delete a webhook endpoint and what is still owed to it: what remains says only that it is deleted.
-- $1: id, $2: merchant, $3: live mode, $4: the version of a change that is made now, $5: now, in
-- milliseconds.
WITH gone AS (
    UPDATE webhook_endpoint
       SET url = '', secret = '', events = '[]', status = 'disabled', details = '{}',
           old_secrets = '[]', deleted_ms = $5,
           version = greatest(version + 1 + ($4::bigint & 1048575), $4)
     WHERE id = $1 AND merchant = $2 AND livemode = $3 AND deleted_ms IS NULL
    RETURNING id
), dropped AS (
    UPDATE delivery d SET next_at = NULL, done_at = now()
      FROM gone g WHERE d.endpoint = g.id AND d.next_at IS NOT NULL
)
SELECT id FROM gone
