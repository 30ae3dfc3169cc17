-- All events of payments, payment by payment. $1, $2: after this subject and sequence, $3: rows at most.
SELECT e.xact, e.subject, e.seq, e.id, e.type, e.merchant, e.livemode, e.created_ms,
       p.version, p.state, p.amount, p.currency, p.amount_capturable, p.amount_received,
       p.amount_refunded, p.attempts, p.charge_attempt, p.epoch, p.created_ms AS payment_created_ms,
       a.key
  FROM (SELECT xact, subject, seq, id, type, merchant, livemode, created_ms
          FROM event WHERE (subject, seq) > ($1::text, $2::integer) AND subject ^@ 'pi_'
         ORDER BY subject, seq LIMIT $3) e
  JOIN payment p ON p.id = e.subject
  LEFT JOIN attempt a ON e.seq = 1 AND a.seq = 1 AND a.id = 'ch_' || substr(e.subject, 4)
 ORDER BY e.subject, e.seq
