-- A key is found by its identity, 128 bits over merchant, mode and key, and no longer by the three:
-- an index entry costs half, and a node that only refuses a key need not be shown it. The same
-- function as `key_identity` in `base/keys.py`.
CREATE FUNCTION key_identity(merchant text, livemode boolean, key text) RETURNS uuid
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN substr(encode(sha256(convert_to(
        merchant || E'\n' || CASE WHEN livemode THEN 'live' ELSE 'test' END || E'\n' || key,
        'UTF8')), 'hex'), 1, 32)::uuid;

ALTER TABLE idempotency_key ADD COLUMN identity uuid;
UPDATE idempotency_key SET identity = key_identity(merchant, livemode, key);
ALTER TABLE idempotency_key DROP CONSTRAINT idempotency_key_pkey;
ALTER TABLE idempotency_key ADD PRIMARY KEY (identity);
ALTER TABLE idempotency_key ALTER COLUMN key DROP NOT NULL;  -- a tombstone's may not be known

ALTER TYPE create_row ADD ATTRIBUTE identity uuid;

-- Keys of one merchant that are refused for one reason; writer tokens count up from `writer`. `key`
-- is known where the node was shown the request; then there is one.
DROP TYPE refuse_row;
CREATE TYPE refuse_row AS (
    merchant text, livemode boolean, key text, refused text, writer bigint, now_ms bigint,
    identities uuid[], request_hashes text[]
);
