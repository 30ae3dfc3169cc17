-- Ask a person to look. $1: subject, $2: attempt, $3: reason, $4: detail.
INSERT INTO review (subject, attempt, reason, detail) VALUES ($1, $2, $3, $4)
ON CONFLICT (subject, attempt, reason) DO UPDATE
   SET detail = EXCLUDED.detail, opened_at = now(), closed_at = NULL
 WHERE review.closed_at IS NOT NULL
