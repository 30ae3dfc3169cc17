-- Forget what no span reaches any more. $1: how many at the most.
DELETE FROM velocity
 WHERE (counter, slot_ms) IN (
    SELECT counter, slot_ms FROM velocity
     WHERE until_ms < (extract(epoch FROM clock_timestamp()) * 1000)::bigint
     ORDER BY until_ms LIMIT $1 FOR UPDATE SKIP LOCKED
 ) RETURNING 1
