-- Reviews, oldest first. $1: only open ones, $2: rows at most.
SELECT subject, attempt, reason, detail, opened_at, closed_at, closed_by, note
  FROM review WHERE closed_at IS NULL OR NOT $1
 ORDER BY opened_at LIMIT $2
