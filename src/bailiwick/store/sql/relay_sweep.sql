-- All events, payment by payment. $1, $2: after this payment and sequence, $3: rows at most.
SELECT e.xact, e.payment, e.seq, e.id, e.type, e.merchant, e.livemode, e.created_ms,
       p.version, p.state, p.amount, p.currency, p.amount_capturable, p.amount_received,
       p.amount_refunded, p.attempts, p.charge_attempt, p.epoch, p.created_ms AS payment_created_ms,
       a.key
  FROM (SELECT xact, payment, seq, id, type, merchant, livemode, created_ms
          FROM event WHERE (payment, seq) > ($1::text, $2::integer)
         ORDER BY payment, seq LIMIT $3) e
  JOIN payment p ON p.id = e.payment
  LEFT JOIN attempt a ON e.seq = 1 AND a.seq = 1 AND a.id = 'ch_' || substr(e.payment, 4)
 ORDER BY e.payment, e.seq
