-- Change a gateway, if nobody has changed it since it was read, and note who did it. $1: name, $2: the version
-- that was read, 0 if there was none, $3: state, $4: whether it is in no settings file, $5: its settings, $6: the
-- node key's id, $7: the data key, wrapped, $8: the credentials, encrypted, $9: what was done, $10: by whom, $11:
-- what was changed, $12: the epoch.
WITH open_fence AS (
    SELECT node FROM fence WHERE fenced_at IS NULL AND epoch <= $12 FOR SHARE
), made AS (
    INSERT INTO gateway (name, version, state, added, settings, node_key, wrapped_key, credentials, credentials_at)
    SELECT $1, 1, $3, $4, $5, $6, $7, $8, CASE WHEN $8::bytea IS NOT NULL AND NOT $4::boolean THEN clock_timestamp() END
      FROM open_fence WHERE $2::bigint = 0
    ON CONFLICT (name) DO NOTHING
    RETURNING version
), changed AS (
    UPDATE gateway
       SET version = version + 1, state = $3, added = $4, settings = $5, node_key = $6, wrapped_key = $7,
           credentials = $8, changed_at = now(),
           credentials_at = CASE WHEN credentials IS DISTINCT FROM $8::bytea THEN clock_timestamp() ELSE credentials_at END
      FROM open_fence
     WHERE name = $1 AND version = $2::bigint
    RETURNING version
)
INSERT INTO gateway_change (gateway, version, what, by_whom, details)
SELECT $1, version, $9, $10, $11 FROM (SELECT version FROM made UNION ALL SELECT version FROM changed) written
RETURNING version
