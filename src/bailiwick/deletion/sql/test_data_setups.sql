-- The next setups of a merchant's test mode, locked; those that others have locked come another time.
-- $1: the merchant, $2: after this id, $3: up to this one, $4: how many.
SELECT id, attempts, currency FROM setup
 WHERE merchant = $1 AND NOT livemode AND id > $2 AND id <= $3
 ORDER BY id LIMIT $4
   FOR UPDATE SKIP LOCKED
