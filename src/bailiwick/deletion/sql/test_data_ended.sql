-- Note that nothing was left. $1: the run.
UPDATE test_data_deletion SET ended_at = now() WHERE run = $1
