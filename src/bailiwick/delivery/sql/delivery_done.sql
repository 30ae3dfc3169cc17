-- Deliveries ended, or are put off. What has ended stays so; a try whose lease ran out, so that
-- another was begun, says something only by its success. The next of the same subject and endpoint
-- may be delivered now. What is to be remembered of the tries is written with it, and of each
-- delivery the newest tries are kept.
-- $1: events, $2: endpoints, $3: the number of the try, $4: HTTP status or 0, $5: milliseconds
-- until the next try; null: no more; $6: the tries, as rows, $7: how many are kept of a delivery.
WITH noted AS (
    UPDATE delivery d
       SET status = n.status, next_at = clock_timestamp() + n.again * interval '1 millisecond',
           done_at = CASE WHEN n.again IS NULL THEN now() END
      FROM unnest($1::text[], $2::text[], $3::integer[], $4::integer[], $5::integer[])
           AS n (event, endpoint, try, status, again)
     WHERE d.event = n.event AND d.endpoint = n.endpoint AND d.next_at IS NOT NULL
       AND (d.tries = n.try OR n.status BETWEEN 200 AND 299)
    RETURNING d.subject, d.endpoint, d.seq, d.next_at
), tried AS (
    INSERT INTO delivery_try SELECT t.* FROM unnest($6::delivery_try[]) AS t
    ON CONFLICT DO NOTHING
), trimmed AS (
    DELETE FROM delivery_try o USING unnest($6::delivery_try[]) AS t
     WHERE t.number > $7 AND o.event = t.event AND o.endpoint = t.endpoint
       AND o.number <= t.number - $7
)
UPDATE delivery d SET next_at = clock_timestamp()
  FROM noted n CROSS JOIN LATERAL (  -- several, where one version has several events
       SELECT b.event, b.endpoint FROM delivery b
        WHERE b.subject = n.subject AND b.endpoint = n.endpoint
          AND b.seq > n.seq AND b.next_at IS NOT NULL AND b.resent = 0
        ORDER BY b.seq FETCH FIRST ROW WITH TIES) s
 WHERE n.next_at IS NULL AND d.event = s.event AND d.endpoint = s.endpoint
   AND d.next_at IS NOT NULL
