-- A primary's standbys; states are null for a role without pg_monitor.
SELECT application_name AS name, state, sync_state,
       pg_wal_lsn_diff(pg_current_wal_flush_lsn(), flush_lsn)::bigint AS behind_bytes
  FROM pg_stat_replication ORDER BY application_name
