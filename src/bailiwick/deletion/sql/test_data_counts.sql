-- What there is of a merchant's test data, by what it is, and the last id of each. $1: the merchant.
SELECT 'payout' AS kind, count(*) AS number, max(id) AS last FROM payout WHERE merchant = $1 AND NOT livemode
 UNION ALL
SELECT 'payment', count(*), max(id) FROM payment WHERE merchant = $1 AND NOT livemode
 UNION ALL
SELECT 'setup', count(*), max(id) FROM setup WHERE merchant = $1 AND NOT livemode
 UNION ALL
SELECT 'owned', count(*), max(id) FROM record
 WHERE merchant = $1 AND NOT livemode AND belongs_to IS NOT NULL
 UNION ALL
SELECT 'record', count(*), max(id) FROM record
 WHERE merchant = $1 AND NOT livemode AND belongs_to IS NULL
