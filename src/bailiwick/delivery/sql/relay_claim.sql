-- Claim the outbox: no row comes back while another process relays, or while the node may not
-- write. $1: consumer, $2: the epoch. `horizon`: no transaction below it is still under way;
-- `busy`: one above it is.
SELECT r.origin, r.sweeping, r.xact, r.subject, r.seq, r.stream, r.stream_seq,
       (SELECT system_identifier::text FROM pg_control_system()) AS here,
       pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS horizon,
       pg_snapshot_xmin(pg_current_snapshot()) < pg_snapshot_xmax(pg_current_snapshot()) AS busy
  FROM relay r
 WHERE r.consumer = $1 AND EXISTS (SELECT FROM fence WHERE fenced_at IS NULL AND epoch <= $2)
   FOR UPDATE OF r SKIP LOCKED
