-- Note that something was erased. $1: what, $2: the event that tells of it, $3: the run, $4: by whom.
INSERT INTO erasure (subject, seq, run, erased_by) VALUES ($1, $2, $3, $4)
