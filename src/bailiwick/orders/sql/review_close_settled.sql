-- Close the reviews of an attempt that a definite answer has settled. $1: attempt, $2: reasons.
UPDATE review SET closed_at = now(), closed_by = 'resolver', note = 'settled by a definite answer'
 WHERE attempt = $1 AND reason = ANY ($2::text[]) AND closed_at IS NULL
