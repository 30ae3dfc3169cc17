-- Send the next events of a merchant to an endpoint again, the oldest first; what is still owed is
-- left as it is. $1: endpoint, $2: merchant, $3: live mode, $4: created at or after, $5: at or before
-- (milliseconds), $6: of these types, $7: only what was given up, $8: ids above this, $9: how many
-- at most.
WITH open_fence AS (
    SELECT node FROM fence WHERE fenced_at IS NULL FOR SHARE
), found AS MATERIALIZED (
    SELECT t.id, e.subject, e.seq
      FROM open_fence CROSS JOIN event e
     CROSS JOIN LATERAL (
           SELECT CASE n.number WHEN 1 THEN e.id ELSE e.id || '_' || n.number END AS id, n.type
             FROM unnest(string_to_array(concat_ws(' ', e.type, e.also), ' '))
                  WITH ORDINALITY AS n (type, number)) t
      LEFT JOIN delivery d ON d.event = t.id AND d.endpoint = $1
     WHERE e.merchant = $2 AND e.livemode = $3 AND e.id >= left($8, 30) AND t.id > $8
       AND e.created_ms BETWEEN $4 AND $5 AND d.next_at IS NULL
       AND t.type = ANY ($6)
       AND (NOT $7 OR (d.event IS NOT NULL AND coalesce(d.status, 0) NOT BETWEEN 200 AND 299))
     ORDER BY t.id
     LIMIT $9
), sent AS (
    INSERT INTO delivery AS d (event, endpoint, subject, seq, resent)
    SELECT f.id, $1, f.subject, f.seq, 1 FROM found f ORDER BY f.id
    ON CONFLICT (event, endpoint) DO UPDATE
       SET next_at = now(), done_at = NULL, resent = d.resent + 1, tries_before = d.tries,
           begun_at = NULL, resend_key = NULL
     WHERE d.next_at IS NULL
    RETURNING d.event
)
SELECT EXISTS (SELECT FROM open_fence) AS open, (SELECT count(*) FROM sent) AS sent,
       (SELECT count(*) FROM found) AS found, (SELECT max(id) FROM found) AS last
