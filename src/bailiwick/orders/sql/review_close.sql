-- A person has dealt with it. $1: subject, $2: attempt, $3: reason, $4: who, $5: note.
UPDATE review SET closed_at = now(), closed_by = $4, note = $5
 WHERE subject = $1 AND attempt = $2 AND reason = $3 AND closed_at IS NULL
RETURNING subject
