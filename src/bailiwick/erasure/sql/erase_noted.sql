-- Whether something was erased before. $1: its id.
SELECT max(seq) AS seq FROM erasure WHERE subject = $1
