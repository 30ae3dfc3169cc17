-- One durable commit, with as much WAL as a small batch: what pgbench repeats.
SELECT pg_logical_emit_message(true, 'bailiwick-probe', repeat('x', 8192));
