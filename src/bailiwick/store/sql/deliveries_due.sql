-- Claim deliveries that are due: only the earliest undelivered one of each payment and endpoint,
-- so that first occurrences arrive in order. $1: rows at most, $2: lease in milliseconds,
-- $3: the epoch.
UPDATE delivery d
   SET next_at = clock_timestamp() + $2 * interval '1 millisecond', tries = d.tries + 1
  FROM (SELECT w.event, w.endpoint FROM delivery w
         WHERE w.next_at <= clock_timestamp()
           AND EXISTS (SELECT FROM fence WHERE fenced_at IS NULL AND epoch <= $3)
           AND NOT EXISTS (SELECT FROM delivery b
                            WHERE b.payment = w.payment AND b.endpoint = w.endpoint
                              AND b.seq < w.seq AND b.next_at IS NOT NULL)
         ORDER BY w.next_at LIMIT $1 FOR NO KEY UPDATE SKIP LOCKED) due, event e
 WHERE d.event = due.event AND d.endpoint = due.endpoint
   AND e.payment = d.payment AND e.seq = d.seq
RETURNING d.event, d.endpoint, d.tries, e.payment, e.seq, e.type, e.body, e.content, e.created_ms, e.livemode
