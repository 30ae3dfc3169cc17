-- Ask a person to look. $1: payment, $2: attempt, $3: reason, $4: detail.
INSERT INTO review (payment, attempt, reason, detail) VALUES ($1, $2, $3, $4)
ON CONFLICT (payment, attempt, reason) DO UPDATE
   SET detail = EXCLUDED.detail, opened_at = now(), closed_at = NULL
 WHERE review.closed_at IS NOT NULL
