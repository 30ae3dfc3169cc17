-- A payout of a merchant's test mode that is there, if any. $1: the merchant.
SELECT id FROM payout WHERE merchant = $1 AND NOT livemode LIMIT 1
