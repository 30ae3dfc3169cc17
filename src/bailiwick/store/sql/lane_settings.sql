-- For the batch connections alone. A batched join is planned once, for any table size: without
-- these the planner picks a scan of the whole payment table whose cost grows for ever.
SET plan_cache_mode = force_generic_plan;
SET enable_mergejoin = off;
SET enable_seqscan = off;
SET statement_timeout = '10s';
SET idle_in_transaction_session_timeout = '10s'
