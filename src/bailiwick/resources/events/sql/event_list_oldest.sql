-- A page of a merchant's events, oldest first (for ending_before). $1: merchant, $2: live mode,
-- $3: ids below this, $4: ids above this, $5: rows at most, $6: of these types, or null for all,
-- $7: created at or after, $8: at or before (milliseconds), $9: bytes of bodies, after which no
-- further row begins. `following`: the id of the row after it, whether or not that is here. `pending`: to
-- how many webhook endpoints it is still owed, one look into an index for each row of the page.
-- What is told of a person stands apart, so that it can be erased (`personal_event`).
SELECT id, subject, seq, type, body, content, created_ms, livemode, following,
       (SELECT count(*) FROM delivery d WHERE d.event = placed.id AND d.next_at IS NOT NULL)
       AS pending
  FROM (SELECT found.*, lead(id) OVER w AS following, row_number() OVER w AS place,
               sum(octet_length(coalesce(body, content))) OVER w
               - octet_length(coalesce(body, content)) AS before
          FROM (SELECT id, subject, seq, type, CASE WHEN body IS NULL AND content IS NULL THEN (
                              SELECT p.body FROM personal_event p
                               WHERE p.subject = event.subject AND p.seq = event.seq)
                            ELSE body END AS body,
                       CASE WHEN body IS NULL THEN content END AS content, created_ms, livemode
                  FROM event
                 WHERE merchant = $1 AND livemode = $2 AND id < $3 AND id > $4
                   AND ($6::text[] IS NULL OR type = ANY ($6))
                   AND created_ms BETWEEN $7 AND $8
                 ORDER BY id ASC
                 LIMIT $5 + 1) found
        WINDOW w AS (ORDER BY id ASC)) placed
 WHERE place <= $5 AND before < $9::bigint
 ORDER BY id ASC
