-- Delete orders and records themselves, test mode's alone; the ids of those that were there. $1: their ids.
WITH payments AS (
    DELETE FROM payment WHERE id = ANY ($1::text[]) AND NOT livemode RETURNING id
), payouts AS (
    DELETE FROM payout WHERE id = ANY ($1::text[]) AND NOT livemode RETURNING id
), setups AS (
    DELETE FROM setup WHERE id = ANY ($1::text[]) AND NOT livemode RETURNING id
), records AS (
    DELETE FROM record WHERE id = ANY ($1::text[]) AND NOT livemode RETURNING id
)
SELECT id FROM payments UNION ALL SELECT id FROM payouts UNION ALL SELECT id FROM setups
 UNION ALL SELECT id FROM records
