-- Places of which there is more than one event. $1: the payments that just came.
INSERT INTO fork (payment, seq)
SELECT payment, seq FROM inbox WHERE payment = ANY ($1::text[])
 GROUP BY payment, seq HAVING count(*) > 1
ON CONFLICT DO NOTHING
RETURNING payment
