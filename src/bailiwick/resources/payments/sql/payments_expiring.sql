-- Payments whose hold is about to run out, the most urgent first. $1: before this time (Unix time in
-- milliseconds), $2: rows at most.
SELECT id FROM payment WHERE capture_before_ms < $1 ORDER BY capture_before_ms LIMIT $2
