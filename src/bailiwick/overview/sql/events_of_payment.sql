-- The events of one payment that have come, in order. $1: id, $2: rows at most.
SELECT seq, event, type, created_ms, (extract(epoch FROM received_at) * 1000)::bigint AS received_ms
  FROM inbox WHERE payment = $1 ORDER BY seq, event LIMIT $2
