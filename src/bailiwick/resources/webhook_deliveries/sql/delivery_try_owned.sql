-- Whether a try is of a merchant's own event: a row if so. $1: id, $2: merchant, $3: live mode.
SELECT true FROM delivery_try WHERE id = $1 AND merchant = $2 AND livemode = $3
