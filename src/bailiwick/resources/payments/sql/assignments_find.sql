-- Which nodes were considered for payments and payouts when they were made, as JSON. $1: their ids.
SELECT p.id, e.content::json #>> '{details,assignment}' AS assignment
  FROM payment p JOIN event e ON e.subject = p.id AND e.seq = p.content_seq
 WHERE p.id = ANY ($1::text[])
 UNION ALL
SELECT p.id, e.content::json #>> '{details,assignment}'
  FROM payout p JOIN event e ON e.subject = p.id AND e.seq = p.content_seq
 WHERE p.id = ANY ($1::text[])
