-- How many of a kind are left of a merchant's test data. $1: the merchant, $2: the kind, $3: up to this id.
SELECT CASE $2::text
       WHEN 'payout' THEN (SELECT count(*) FROM payout WHERE merchant = $1 AND NOT livemode AND id <= $3)
       WHEN 'payment' THEN (SELECT count(*) FROM payment WHERE merchant = $1 AND NOT livemode AND id <= $3)
       WHEN 'setup' THEN (SELECT count(*) FROM setup WHERE merchant = $1 AND NOT livemode AND id <= $3)
       ELSE (SELECT count(*) FROM record
              WHERE merchant = $1 AND NOT livemode AND id <= $3
                AND (belongs_to IS NOT NULL) = ($2 = 'owned')) END AS number
