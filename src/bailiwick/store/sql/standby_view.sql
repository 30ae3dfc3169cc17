-- A standby as it sees itself: whether it still follows, what it has not applied yet, and its
-- receiver (null for a role that may not see it).
SELECT pg_is_in_recovery() AS follows,
       coalesce(pg_wal_lsn_diff(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()), 0)::bigint
           AS unapplied_bytes,
       (SELECT status FROM pg_stat_wal_receiver) AS receiver,
       (extract(epoch FROM now() - pg_last_xact_replay_timestamp()) * 1000)::bigint AS applied_ms
