-- Claim a key for a record: a row if it was free. $1: identity, $2: merchant, $3: live mode, $4: key,
-- $5: request hash, $6: operation, $7: the record, $8: wish for expansion, $9: writer, $10: now.
INSERT INTO idempotency_key (identity, merchant, livemode, key, request_hash, operation, object,
                             subject, expand, writer, created_ms)
VALUES ($1, $2, $3, $4, $5, $6, $7, $7, $8, $9, $10)
ON CONFLICT DO NOTHING
RETURNING writer
