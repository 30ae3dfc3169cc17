-- What a merchant is owed by the postings, by currency. $1: merchant, $2: its account, $3: live mode.
SELECT g.currency, sum(g.amount)::bigint AS amount
  FROM (SELECT subject, currency, amount::bigint FROM posting WHERE credit = $2
         UNION ALL
        SELECT subject, currency, -amount FROM posting WHERE debit = $2) g
  JOIN (SELECT id, merchant, livemode FROM payment
         UNION ALL
        SELECT id, merchant, livemode FROM payout) p ON p.id = g.subject
 WHERE p.merchant = $1 AND p.livemode = $3
 GROUP BY g.currency
