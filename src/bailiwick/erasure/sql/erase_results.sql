-- What providers have said of the attempts of an order: their ids are its own with another prefix.
-- $1: the order's id.
SELECT id, result FROM attempt
 WHERE subject = $1 AND result IS NOT NULL
   AND (id BETWEEN 'ch_' || split_part($1, '_', 2) AND 'ch_' || split_part($1, '_', 2) || '_~'
        OR id BETWEEN 'at_' || split_part($1, '_', 2) AND 'at_' || split_part($1, '_', 2) || '_~')
