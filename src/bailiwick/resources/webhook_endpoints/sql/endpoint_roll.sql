-- Give a webhook endpoint a new secret, if it still has the one before. $1: id, $2: merchant,
-- $3: live mode, $4: the new secret, $5: those before it, $6: the one that it had.
UPDATE webhook_endpoint SET secret = $4, old_secrets = $5
 WHERE id = $1 AND merchant = $2 AND livemode = $3 AND secret = $6
RETURNING id
