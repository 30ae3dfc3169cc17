-- What providers have said of the attempts of an order. $1: the order's id.
SELECT id, result FROM attempt WHERE subject = $1 AND result IS NOT NULL
