-- Give a webhook endpoint a new secret, if it still has the one before. $1: id, $2: merchant,
-- $3: live mode, $4: the new secret, $5: those before it, $6: the one that it had, $7: the version of a
-- change that is made now.
UPDATE webhook_endpoint
   SET secret = $4, old_secrets = $5,
       version = greatest(version + 1 + ($7::bigint & 1048575), $7)
 WHERE id = $1 AND merchant = $2 AND livemode = $3 AND secret = $6 AND deleted_ms IS NULL
RETURNING id
