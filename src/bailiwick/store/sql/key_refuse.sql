-- Tombstones: this node refuses these keys for ever, so that they may be served elsewhere. A key
-- that was claimed before, or comes twice, is left as it is: only the rows whose writer token
-- comes back were written.
-- $1: the rows, $2: the epoch.
WITH open_fence AS (
    SELECT node FROM fence WHERE fenced_at IS NULL AND epoch <= $2 FOR SHARE
)
INSERT INTO idempotency_key (merchant, livemode, key, request_hash, operation, refused, writer,
                             created_ms)
SELECT i.merchant, i.livemode, i.key, i.request_hash, i.operation, i.refused, i.writer, i.now_ms
  FROM unnest($1::refuse_row[]) AS i CROSS JOIN open_fence
ON CONFLICT DO NOTHING
RETURNING writer
