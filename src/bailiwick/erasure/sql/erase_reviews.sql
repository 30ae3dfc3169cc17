-- Closed reviews without what they quote and what people wrote; that they were is kept. $1: the order.
UPDATE review SET detail = NULL, note = NULL
 WHERE subject = $1 AND (detail IS NOT NULL OR note IS NOT NULL)
RETURNING attempt
