-- Events of payments in the order of transactions. $1, $2, $3: after this transaction, subject and sequence,
-- $4: transactions below this one, $5: rows at most. A transaction that is under way may still
-- add rows with its number: $4 must not be above the horizon of an earlier snapshot.
SELECT e.xact, e.subject, e.seq, e.id, e.type, e.merchant, e.livemode, e.created_ms,
       p.version, p.state, p.amount, p.currency, p.amount_capturable, p.amount_received,
       p.amount_refunded, p.attempts, p.charge_attempt, p.epoch, p.created_ms AS payment_created_ms,
       a.key
  FROM (SELECT xact, subject, seq, id, type, merchant, livemode, created_ms
          FROM event
         WHERE xact >= $1 AND xact < $4 AND (xact, subject, seq) > ($1, $2::text, $3::integer)
           AND subject ^@ 'pi_'
         ORDER BY xact, subject, seq LIMIT $5) e
  JOIN payment p ON p.id = e.subject
  LEFT JOIN attempt a ON e.seq = 1 AND a.seq = 1 AND a.id = 'ch_' || substr(e.subject, 4)
 ORDER BY e.xact, e.subject, e.seq
