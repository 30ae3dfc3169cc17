-- With which transaction a merchant's events since a time began. $1: merchant, $2: live mode, $3: an id
-- of that time.
SELECT xact FROM event WHERE merchant = $1 AND livemode = $2 AND id >= $3 ORDER BY id LIMIT 1
