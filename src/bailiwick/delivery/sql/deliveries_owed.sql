-- Which endpoints are owed something, and whether any of it is due: one look into the index for
-- each, however much is owed. $1: endpoints after this id, $2: how many.
WITH RECURSIVE owed AS (
    (SELECT d.endpoint, d.next_at FROM delivery d
      WHERE d.endpoint > $1 AND d.next_at IS NOT NULL
      ORDER BY d.endpoint, d.next_at LIMIT 1)
    UNION ALL
    SELECT n.endpoint, n.next_at
      FROM owed o CROSS JOIN LATERAL (
           SELECT d.endpoint, d.next_at FROM delivery d
            WHERE d.endpoint > o.endpoint AND d.next_at IS NOT NULL
            ORDER BY d.endpoint, d.next_at LIMIT 1) n
)
SELECT endpoint, next_at <= now() AS due FROM owed LIMIT $2
