-- The events whose versions moved merchants' balances, of these orders, each with the object that
-- moved it; in order. $1: the orders.
SELECT e.id, o.source
  FROM event e
  CROSS JOIN LATERAL (
       SELECT CASE WHEN b.body ->> 'object' = 'payout' AND b.body ->> 'status' = 'canceled'
                   THEN 'payout_canceled' ELSE b.body ->> 'object' END AS about,
              CASE WHEN b.body ->> 'object' = 'payment_intent' THEN b.body ->> 'latest_charge'
                   ELSE b.body ->> 'id' END AS source
         FROM (SELECT e.body::json AS body) b) o
 WHERE e.subject = ANY ($1::text[])
   AND EXISTS (SELECT FROM posting p
                WHERE p.subject = e.subject AND p.seq = e.seq
                  AND 'merchant:' || e.merchant IN (p.debit, p.credit))
 ORDER BY e.subject, e.seq
