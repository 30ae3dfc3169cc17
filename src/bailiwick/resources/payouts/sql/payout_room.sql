-- What each gateway holds of a merchant's money, less what is on its way. $1: merchant, $2: live mode,
-- $3: currency.
SELECT gateway, amount FROM payout_room($1, $2, $3)
