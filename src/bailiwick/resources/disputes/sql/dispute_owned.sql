-- Whether a dispute is a merchant's own, of this mode. $1: id, $2: merchant, $3: live mode.
SELECT id FROM dispute WHERE id = $1 AND merchant = $2 AND livemode = $3
