-- A delivery ended, or is put off. $1: event, $2: endpoint, $3: HTTP status or 0,
-- $4: milliseconds until the next try; null: no more.
UPDATE delivery
   SET status = $3, next_at = clock_timestamp() + $4::integer * interval '1 millisecond',
       done_at = CASE WHEN $4::integer IS NULL THEN now() END
 WHERE event = $1 AND endpoint = $2
