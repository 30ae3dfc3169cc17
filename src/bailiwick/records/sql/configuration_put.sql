-- Write a configuration, if nobody has changed it since it was read. $1: id, $2: merchant, $3: mode, $4:
-- when it was made, in milliseconds, $5: details, $6: the version of a change that is made now, $7: the
-- version that was read, 0 if there was none.
INSERT INTO configuration AS c (id, merchant, livemode, created_ms, details, version)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (id) DO UPDATE
   SET details = excluded.details,
       version = greatest(c.version + 1 + (excluded.version & 1048575), excluded.version)
 WHERE c.version = $7 AND c.merchant = excluded.merchant AND c.livemode = excluded.livemode
RETURNING version
