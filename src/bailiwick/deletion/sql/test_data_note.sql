-- Note orders that go. $1: their ids, $2: the run.
INSERT INTO test_data_order (id, run) SELECT n.id, $2 FROM unnest($1::text[]) AS n (id)
