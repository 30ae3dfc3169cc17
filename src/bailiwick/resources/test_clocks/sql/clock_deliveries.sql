-- Webhooks about the payments of a clock's customers, and about the customers, are to be tried
-- sooner. $1: the clock, $2: its merchant, $3: by how many milliseconds.
WITH customers AS (
    SELECT id FROM record WHERE belongs_to = $1
)
UPDATE delivery d
   SET next_at = d.next_at - $3::bigint * interval '1 millisecond'
 WHERE d.next_at > now()
   AND (d.subject IN (SELECT id FROM customers)
        OR d.subject IN (
            SELECT p.id FROM payment p
             WHERE p.id = d.subject AND p.merchant = $2 AND NOT p.livemode
               AND p.customer IN (SELECT id FROM customers)))
RETURNING d.event
