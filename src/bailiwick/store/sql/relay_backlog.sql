-- How much is still to be sent, and since when. $1: consumer, $2: rows counted at most.
SELECT count(*) AS waiting, min(e.created_ms) AS oldest_ms,
       (SELECT count(*) FROM relay_trouble t
         WHERE t.consumer = $1 AND t.parked_at IS NOT NULL) AS parked
  FROM relay r CROSS JOIN LATERAL (
       (SELECT f.created_ms FROM event f
         WHERE NOT r.sweeping AND f.xact >= r.xact
           AND (f.xact, f.payment, f.seq) > (r.xact, r.payment, r.seq) LIMIT $2)
       UNION ALL
       (SELECT s.created_ms FROM event s
         WHERE r.sweeping AND (s.payment, s.seq) > (r.payment, r.seq) LIMIT $2)) e
 WHERE r.consumer = $1
