-- Of which subjects there are events, one after the other. $1, $2: after this subject and sequence,
-- $3: rows at most.
SELECT xact, subject, seq FROM event WHERE (subject, seq) > ($1::text, $2::integer)
 ORDER BY subject, seq LIMIT $3
