-- How far back the newest so many entries reach: the id of the one after them, or no row.
-- $1: merchant, $2: kind, $3: live mode, $4: ids below this, $5: ids from this, $6: how many.
SELECT id FROM search_entry
 WHERE kind = $2 AND merchant = $1 AND livemode = $3 AND id < $4 AND id >= $5
 ORDER BY id DESC OFFSET $6 LIMIT 1
