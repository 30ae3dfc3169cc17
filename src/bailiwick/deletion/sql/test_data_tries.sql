-- Delete the log of deliveries to a merchant's test endpoints of events that are not there any more, so many
-- at a time; how many. $1: the merchant, $2: after this try, $3: how many.
WITH page AS MATERIALIZED (
    SELECT t.id, t.subject FROM webhook_endpoint w JOIN delivery_try t ON t.endpoint = w.id
     WHERE w.merchant = $1 AND NOT w.livemode AND t.id > $2 ORDER BY t.id LIMIT $3
), gone AS (
    DELETE FROM delivery_try t USING page p
     WHERE t.id = p.id AND NOT t.livemode AND NOT EXISTS (SELECT FROM event e WHERE e.subject = p.subject)
)
SELECT id FROM page ORDER BY id DESC LIMIT 1
