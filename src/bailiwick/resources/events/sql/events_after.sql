-- A merchant's next events in the order of transactions. $1: merchant, $2: live mode, $3: from this
-- transaction on, $4: of which so many events are told, $5: transactions below this one, which must not
-- be above the horizon of an earlier snapshot, $6: events at most, $7: of these types, or null for
-- all, $8: bytes of bodies, after which no further event begins.
-- `place`: how many of the merchant's events of this transaction are told with it; `all_of`: how many
-- there are, whether or not they are here; `wanted`: whether it is of these types. The merchant is
-- compared as an expression so that the rows are found by their transactions: by the index of the
-- merchant, all it ever had would be read. What is told of a person stands apart (`personal_event`).
SELECT id, subject, seq, number, type, body, content, created_ms, livemode, xact, place, wanted,
       all_of,
       (SELECT count(*) FROM delivery d WHERE d.event = told.id AND d.next_at IS NOT NULL)
       AS pending
  FROM (SELECT named.*, count(*) OVER () AS all_of,
               sum(octet_length(coalesce(body, content))) OVER w
               - octet_length(coalesce(body, content)) AS before,
               row_number() OVER w AS here
          FROM (SELECT CASE t.number WHEN 1 THEN e.id ELSE e.id || '_' || t.number END AS id,
                       e.subject, e.seq, t.number, t.type, e.created_ms, e.livemode, e.xact,
                       CASE WHEN e.body IS NULL AND e.content IS NULL THEN (
                              SELECT p.body FROM personal_event p
                               WHERE p.subject = e.subject AND p.seq = e.seq)
                            ELSE e.body END AS body,
                       CASE WHEN e.body IS NULL THEN e.content END AS content,
                       $7::text[] IS NULL OR t.type = ANY ($7) AS wanted,
                       row_number() OVER (PARTITION BY e.xact ORDER BY e.subject, e.seq, t.number)
                       AS place
                  FROM (SELECT * FROM event
                         WHERE xact >= $3 AND xact < $5
                           AND merchant || '' = $1 AND livemode = $2
                         ORDER BY xact, subject, seq
                         LIMIT $4::bigint + $6 + 1) e
                 CROSS JOIN LATERAL unnest(string_to_array(concat_ws(' ', e.type, e.also), ' '))
                       WITH ORDINALITY AS t (type, number)) named
         WHERE xact > $3 OR place > $4
        WINDOW w AS (ORDER BY xact, place)) told
 WHERE here <= $6 AND coalesce(before, 0) < $8::bigint
 ORDER BY xact, place
