-- Whether a charge is a merchant's own: a row if so. $1: id, $2: merchant, $3: live mode.
SELECT true FROM attempt
 WHERE id = $1 AND merchant = $2 AND livemode = $3 AND operation = 'charge'
