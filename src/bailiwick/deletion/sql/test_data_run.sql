-- Note that somebody asks. $1: the run, $2: the merchant, $3: by whom.
INSERT INTO test_data_deletion (run, merchant, deleted_by) VALUES ($1, $2, $3)
