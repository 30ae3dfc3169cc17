-- A page of a merchant's events, newest first. $1: merchant, $2: live mode,
-- $3: ids below this, $4: ids above this, $5: rows at most, $6: of these types, or null for all,
-- $7: created at or after, $8: at or before (milliseconds), $9: whether all endpoints to which they
-- are owed have taken them, or null for all, $10: bytes of bodies, after which no further row begins. `number`: which event of a row it is; from the second on its id has that behind
-- it, and its object is not the one here (`also`). `following`: the id of the row after it, whether or
-- not that is here. `pending`: to how many webhook endpoints it is still owed, one look into an index
-- for each row of the page.
-- What is told of a person stands apart, so that it can be erased (`personal_event`).
SELECT id, subject, seq, number, type, body, content, created_ms, livemode, following,
       (SELECT count(*) FROM delivery d WHERE d.event = placed.id AND d.next_at IS NOT NULL)
       AS pending
  FROM (SELECT found.*, lead(id) OVER w AS following, row_number() OVER w AS place,
               sum(octet_length(coalesce(body, content))) OVER w
               - octet_length(coalesce(body, content)) AS before
          FROM (SELECT CASE t.number WHEN 1 THEN e.id ELSE e.id || '_' || t.number END AS id,
                       subject, seq, t.number, t.type,
                       CASE WHEN body IS NULL AND content IS NULL THEN (
                              SELECT p.body FROM personal_event p
                               WHERE p.subject = e.subject AND p.seq = e.seq)
                            ELSE body END AS body,
                       CASE WHEN body IS NULL THEN content END AS content, created_ms, livemode
                  FROM event e
                 CROSS JOIN LATERAL unnest(string_to_array(concat_ws(' ', e.type, e.also), ' '))
                       WITH ORDINALITY AS t (type, number)
                 WHERE merchant = $1 AND livemode = $2 AND e.id < $3 AND e.id >= left($4, 30)
                   AND ($6::text[] IS NULL OR t.type = ANY ($6))
                   AND (t.number = 1 AND e.id > $4
                        OR t.number > 1 AND e.id || '_' || t.number > $4
                           AND e.id || '_' || t.number < $3)
                   AND created_ms BETWEEN $7 AND $8
                   AND ($9::boolean IS NULL OR $9 <> EXISTS (
                        SELECT FROM delivery d
                         WHERE d.event = CASE t.number WHEN 1 THEN e.id
                                         ELSE e.id || '_' || t.number END
                           AND coalesce(d.status, 0) NOT BETWEEN 200 AND 299))
                 ORDER BY e.id DESC, t.number DESC
                 LIMIT $5 + 1) found
        WINDOW w AS (ORDER BY id DESC)) placed
 WHERE place <= $5 AND before < $10::bigint
 ORDER BY id DESC
