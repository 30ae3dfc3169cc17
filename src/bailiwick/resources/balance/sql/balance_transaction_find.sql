-- One balance transaction: what the version of an event has done to the merchant's account. The first
-- posting is the amount, those after it are fees. $1: merchant, $2: live mode, $3: the event, $4: the
-- account.
SELECT e.id, e.subject, e.seq, e.created_ms, o.about, o.source, g.currency, g.amount, g.fee
  FROM event e CROSS JOIN LATERAL (
       SELECT p.currency,
              sum(CASE WHEN p.credit = $4 THEN p.amount ELSE -p.amount END)
                  FILTER (WHERE p.number = 1)::bigint AS amount,
              coalesce(sum(CASE WHEN p.credit = $4 THEN -p.amount ELSE p.amount END)
                       FILTER (WHERE p.number > 1), 0)::bigint AS fee
         FROM posting p
        WHERE p.subject = e.subject AND p.seq = e.seq AND $4 IN (p.debit, p.credit)
        GROUP BY p.currency) g
  CROSS JOIN LATERAL (
       SELECT CASE WHEN b.body ->> 'object' = 'payout' AND b.body ->> 'status' = 'canceled'
                   THEN 'payout_canceled' ELSE b.body ->> 'object' END AS about,
              CASE WHEN b.body ->> 'object' = 'payment_intent' THEN b.body ->> 'latest_charge'
                   ELSE b.body ->> 'id' END AS source
         FROM (SELECT e.body::json AS body) b) o
 WHERE e.merchant = $1 AND e.livemode = $2 AND e.id = $3
