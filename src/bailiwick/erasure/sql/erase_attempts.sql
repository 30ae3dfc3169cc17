-- The attempts of an order, with what providers have said of them. $1: the order's id, $2: the ids that
-- attempts of it may have.
SELECT id, state, result FROM attempt WHERE subject = $1 AND id = ANY ($2::text[])
