-- Places of payments of which there is more than one event, oldest finding first.
-- $1: rows at most.
SELECT f.payment, f.seq, (extract(epoch FROM f.found_at) * 1000)::bigint AS found_ms,
       (SELECT json_agg(b.event ORDER BY b.event)::text FROM inbox b
         WHERE b.payment = f.payment AND b.seq = f.seq) AS events
  FROM fork f ORDER BY f.found_at, f.payment, f.seq LIMIT $1
