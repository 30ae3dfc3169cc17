-- Claim deliveries that are due, endpoint by endpoint: only the earliest undelivered one of each
-- subject and endpoint, so that first occurrences arrive in order. What is sent again keeps to none,
-- and holds up nobody.
-- A later one is put behind (`claimed` is false): until `delivery_done` has seen the one before it
-- end, or at most until that one is due again. So it is not looked at again and again. The row
-- before it is locked for that: who is just ending it is not overtaken. Nobody is waited for.
-- `now()`, not `clock_timestamp()`: only what is stable can be looked up in an index. What has a
-- LIMIT is looked up row by row, whatever the planner expects; the last one bounds what it expects
-- to update, and what is put behind comes after what is claimed. It is sorted so that all locks are
-- taken before the first row is updated: a row that is updated already cannot be locked any more.
-- `number`: which event of its row it is; the object of one beside the first is not here (`also`).
-- What is told of a person stands apart, so that it can be erased (`personal_event`).
-- $1: endpoints, $2: how many of each, 40 at most, $3: lease in milliseconds, $4: the epoch.
WITH due AS MATERIALIZED (
    SELECT w.event, w.endpoint, w.subject, w.seq, w.next_at, f.room,
           b.seq IS NOT NULL AS waits
      FROM unnest($1::text[], $2::integer[]) AS f (endpoint, room)
      JOIN fence ON fence.fenced_at IS NULL AND fence.epoch <= $4
     CROSS JOIN LATERAL (
           SELECT d.event, d.endpoint, d.subject, d.seq, d.next_at, d.resent FROM delivery d
            WHERE d.endpoint = f.endpoint AND d.next_at <= now()
            ORDER BY d.next_at LIMIT 40) w
      LEFT JOIN LATERAL (
           SELECT b.seq FROM delivery b
            WHERE b.subject = w.subject AND b.endpoint = w.endpoint
              AND b.seq < w.seq AND b.next_at IS NOT NULL AND b.resent = 0 AND w.resent = 0
            ORDER BY b.seq DESC LIMIT 1) b ON true
), chosen AS (
    SELECT r.event, r.endpoint, r.subject, r.seq, NULL::timestamptz AS behind
      FROM (SELECT d.*, row_number() OVER (PARTITION BY d.endpoint ORDER BY d.next_at) AS place
              FROM due d WHERE NOT d.waits) r
     WHERE r.place <= r.room
    UNION ALL
    SELECT w.event, w.endpoint, w.subject, w.seq, b.next_at
      FROM due w CROSS JOIN LATERAL (
           SELECT b.next_at FROM delivery b
            WHERE b.subject = w.subject AND b.endpoint = w.endpoint
              AND b.seq < w.seq AND b.next_at IS NOT NULL AND b.resent = 0
            ORDER BY b.seq DESC LIMIT 1 FOR SHARE SKIP LOCKED) b
     WHERE w.waits
), mine AS MATERIALIZED (
    SELECT c.* FROM chosen c CROSS JOIN LATERAL (
           SELECT FROM delivery d
            WHERE d.event = c.event AND d.endpoint = c.endpoint AND d.next_at <= now()
            LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED) d
     LIMIT 256
)
UPDATE delivery d
   SET next_at = greatest(m.behind, clock_timestamp() + $3 * interval '1 millisecond'),
       tries = d.tries + CASE WHEN m.behind IS NULL THEN 1 ELSE 0 END,
       begun_at = CASE WHEN m.behind IS NULL AND d.begun_at IS NULL THEN now()
                       ELSE d.begun_at END
  FROM (SELECT * FROM mine ORDER BY event LIMIT 256) m
  LEFT JOIN event e ON m.behind IS NULL AND e.subject = m.subject AND e.seq = m.seq
 WHERE d.event = m.event AND d.endpoint = m.endpoint
RETURNING d.event, d.endpoint, d.tries, d.subject, d.seq,
          coalesce(nullif(split_part(d.event, '_', 3), '')::integer, 1) AS number,
          (string_to_array(concat_ws(' ', e.type, e.also), ' '))
              [coalesce(nullif(split_part(d.event, '_', 3), '')::integer, 1)] AS type,
          CASE WHEN e.body IS NULL AND e.content IS NULL THEN (
                 SELECT p.body FROM personal_event p
                  WHERE p.subject = m.subject AND p.seq = m.seq)
               ELSE e.body END AS body,
          e.content, e.livemode,
          m.behind IS NULL AS claimed, d.resent, d.tries - d.tries_before AS tries_of_sending,
          (extract(epoch FROM now() - d.begun_at) * 1000)::bigint AS age_ms,
          CASE WHEN m.behind IS NULL THEN (
              SELECT count(*) FROM delivery o WHERE o.event = d.event AND o.next_at IS NOT NULL)
          END AS pending
