-- Delete a webhook endpoint and what is still owed to it. $1: id, $2: merchant, $3: live mode.
WITH gone AS (
    DELETE FROM webhook_endpoint WHERE id = $1 AND merchant = $2 AND livemode = $3 RETURNING id
), dropped AS (
    UPDATE delivery d SET next_at = NULL, done_at = now()
      FROM gone g WHERE d.endpoint = g.id AND d.next_at IS NOT NULL
)
SELECT id FROM gone
