-- A page of a merchant's balance transactions, oldest first: its events are gone through in the order of
-- their ids, and those whose version has postings on its account are taken; the first posting is the
-- amount, those after it are fees. $1: merchant, $2: live mode, $3: events below this, $4: events
-- above this, $5: rows at most, $6: the account, $7: of this currency, $8: about objects of this kind,
-- $9: those that add (1) or take (-1), $10: of this source (each null, or 0, for all), $11: created at
-- or after, $12: at or before (milliseconds).
SELECT e.id, e.subject, e.seq, e.created_ms, o.about, o.source, g.currency, g.amount, g.fee
  FROM event e CROSS JOIN LATERAL (
       SELECT p.currency,
              sum(CASE WHEN p.credit = $6 THEN p.amount ELSE -p.amount END)
                  FILTER (WHERE p.number = 1)::bigint AS amount,
              coalesce(sum(CASE WHEN p.credit = $6 THEN -p.amount ELSE p.amount END)
                       FILTER (WHERE p.number > 1), 0)::bigint AS fee
         FROM posting p
        WHERE p.subject = e.subject AND p.seq = e.seq AND $6 IN (p.debit, p.credit)
        GROUP BY p.currency) g
  CROSS JOIN LATERAL (
       SELECT CASE WHEN b.body ->> 'object' = 'payout' AND b.body ->> 'status' = 'canceled'
                   THEN 'payout_canceled' ELSE b.body ->> 'object' END AS about,
              CASE WHEN b.body ->> 'object' = 'payment_intent' THEN b.body ->> 'latest_charge'
                   ELSE b.body ->> 'id' END AS source
         FROM (SELECT e.body::json AS body) b) o
 WHERE e.merchant = $1 AND e.livemode = $2 AND e.id < $3 AND e.id > $4
   AND ($7::text IS NULL OR g.currency = $7)
   AND ($8::text IS NULL OR o.about = $8)
   AND ($9::integer = 0 OR sign(g.amount) = $9)
   AND ($10::text IS NULL OR o.source = $10)
   AND e.created_ms BETWEEN $11 AND $12
 ORDER BY e.id
 LIMIT $5
