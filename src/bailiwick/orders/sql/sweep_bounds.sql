-- Between which times attempts may have been permitted and forgotten. The upper one is never later
-- than the beginning of a transaction that may still bring an older attempt.
-- $1: milliseconds since a permit until it has run out.
SELECT swept_until,
       least(clock_timestamp() - $1 * interval '1 millisecond',
             (SELECT min(xact_start) FROM pg_stat_activity
               WHERE backend_xid IS NOT NULL AND pid <> pg_backend_pid())) AS until
  FROM sweep
