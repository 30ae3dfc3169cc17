-- Orders of a merchant's test mode of which an attempt is open, by what the orders and what is beside them
-- say. $1: the merchant, $2: how many at most.
SELECT id FROM payout WHERE merchant = $1 AND NOT livemode AND open_attempt IS NOT NULL
 UNION
SELECT id FROM payment WHERE merchant = $1 AND NOT livemode AND open_attempt IS NOT NULL
 UNION
SELECT id FROM setup WHERE merchant = $1 AND NOT livemode AND open_attempt IS NOT NULL
 UNION
SELECT payment FROM refund WHERE merchant = $1 AND NOT livemode AND state = 'pending'
 UNION
SELECT payment FROM dispute WHERE merchant = $1 AND NOT livemode AND open_attempt IS NOT NULL
 ORDER BY 1 LIMIT $2
