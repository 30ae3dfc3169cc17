-- What has been counted in the slots that a span touches, and the database's time in milliseconds.
-- $1: counters, $2: for each its span, $3: the length of its slots.
WITH now AS (SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS ms)
SELECT now.ms, coalesce(sum(v.amount), 0)::bigint AS amount
  FROM now CROSS JOIN unnest($1::bytea[], $2::bigint[], $3::bigint[])
               WITH ORDINALITY AS w (counter, within_ms, slot_ms, n)
       LEFT JOIN velocity v ON v.counter = w.counter AND v.slot_ms > now.ms - w.within_ms - w.slot_ms
 GROUP BY now.ms, w.n ORDER BY w.n
