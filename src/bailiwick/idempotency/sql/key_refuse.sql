-- Tombstones: this node refuses these keys for ever, so that they may be served elsewhere. A key
-- that was claimed before, or comes twice, is left as it is: only those whose writer token comes
-- back were written.
-- $1: the rows, many keys each, $2: the epoch.
WITH open_fence AS (
    SELECT node FROM fence WHERE fenced_at IS NULL AND epoch <= $2 FOR SHARE
)
INSERT INTO idempotency_key (identity, merchant, livemode, key, request_hash, operation, refused,
                             writer, created_ms)
SELECT k.identity, i.merchant, i.livemode, i.key, k.request_hash, 'create', i.refused,
       i.writer + k.number - 1, i.now_ms
  FROM unnest($1::refuse_row[]) AS i CROSS JOIN open_fence
       CROSS JOIN LATERAL unnest(i.identities, i.request_hashes) WITH ORDINALITY
               AS k (identity, request_hash, number)
ON CONFLICT DO NOTHING
RETURNING writer
