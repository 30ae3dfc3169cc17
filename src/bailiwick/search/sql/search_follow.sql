-- Of which subjects there are events, in the order of transactions. $1, $2, $3: after this transaction,
-- subject and sequence, $4: transactions below this one, $5: rows at most. A transaction that is
-- under way may still add rows with its number: $4 must not be above the horizon of an earlier
-- snapshot.
SELECT xact, subject, seq FROM event
 WHERE xact >= $1 AND xact < $4 AND (xact, subject, seq) > ($1, $2::text, $3::integer)
 ORDER BY xact, subject, seq LIMIT $5
