-- How much is still to be sent, and since when. $1: consumer, $2: rows counted at most.
SELECT count(*) AS waiting, min(e.created_ms) AS oldest_ms,
       (SELECT count(*) FROM relay_trouble t
         WHERE t.consumer = $1 AND t.parked_at IS NOT NULL) AS parked
  FROM relay r CROSS JOIN LATERAL (
       (SELECT f.created_ms FROM event f
         WHERE NOT r.sweeping AND f.xact >= r.xact
           AND (f.xact, f.subject, f.seq) > (r.xact, r.subject, r.seq)
           AND f.subject ^@ 'pi_' LIMIT $2)
       UNION ALL
       (SELECT s.created_ms FROM event s
         WHERE r.sweeping AND (s.subject, s.seq) > (r.subject, r.seq)
           AND s.subject ^@ 'pi_' LIMIT $2)) e
 WHERE r.consumer = $1
