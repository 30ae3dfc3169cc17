-- What beside its attempts is still open of an order, so that it must not be erased yet: what, and its id.
-- $1: the order's id.
SELECT 'dispute' AS what, id FROM dispute
 WHERE payment = $1 AND state NOT IN ('warning_closed', 'won', 'lost')
 UNION ALL
SELECT 'review', attempt FROM review WHERE subject = $1 AND closed_at IS NULL
