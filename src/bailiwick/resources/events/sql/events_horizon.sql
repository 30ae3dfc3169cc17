-- The transaction below which none is under way: nothing appears there any more.
SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS horizon
