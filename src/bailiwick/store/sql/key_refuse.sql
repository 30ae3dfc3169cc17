-- Tombstone: this node refuses a key for ever, so that it may be served elsewhere. Loses against
-- an earlier claim. $1: merchant, $2: live mode, $3: key, $4: request hash, $5: operation,
-- $6: reason, $7: writer, $8: now, $9: epoch.
INSERT INTO idempotency_key (merchant, livemode, key, request_hash, operation, refused, writer,
                             created_ms)
SELECT $1, $2, $3, $4, $5, $6, $7, $8
  FROM (SELECT 1 FROM fence WHERE fenced_at IS NULL AND epoch <= $9 FOR SHARE) f
ON CONFLICT DO NOTHING
RETURNING writer
