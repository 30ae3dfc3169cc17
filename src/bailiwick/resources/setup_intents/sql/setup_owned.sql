-- Whether a setup is a merchant's own: a row if so. $1: id, $2: merchant, $3: live mode.
SELECT true FROM setup WHERE id = $1 AND merchant = $2 AND livemode = $3
