-- One event of a merchant, and to how many webhook endpoints it is still owed. $1: merchant,
-- $2: live mode, $3: id, $4: the id of the row that tells of it, $5: which event of that row.
-- What is told of a person stands apart, so that it can be erased (`personal_event`).
SELECT $3::text AS id, subject, seq, $5::integer AS number, t.type,
       CASE WHEN body IS NULL AND content IS NULL THEN (
              SELECT p.body FROM personal_event p
               WHERE p.subject = e.subject AND p.seq = e.seq)
            ELSE body END AS body,
       content, created_ms, livemode,
       (SELECT count(*) FROM delivery d WHERE d.event = $3 AND d.next_at IS NOT NULL) AS pending
  FROM event e CROSS JOIN LATERAL (
       SELECT (string_to_array(concat_ws(' ', e.type, e.also), ' '))[$5] AS type) t
 WHERE merchant = $1 AND livemode = $2 AND e.id = $4 AND t.type IS NOT NULL
