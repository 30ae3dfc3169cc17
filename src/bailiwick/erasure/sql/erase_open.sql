-- What of an order is still open, so that it must not be erased yet: what, and its id. $1: the order's id.
SELECT 'attempt' AS what, id FROM attempt
 WHERE subject = $1 AND state IN ('permitted', 'pending', 'unknown')
   AND (id BETWEEN 'ch_' || split_part($1, '_', 2) AND 'ch_' || split_part($1, '_', 2) || '_~'
        OR id BETWEEN 'at_' || split_part($1, '_', 2) AND 'at_' || split_part($1, '_', 2) || '_~')
 UNION ALL
SELECT 'dispute', id FROM dispute
 WHERE payment = $1 AND state NOT IN ('warning_closed', 'won', 'lost')
 UNION ALL
SELECT 'review', attempt FROM review WHERE subject = $1 AND closed_at IS NULL
