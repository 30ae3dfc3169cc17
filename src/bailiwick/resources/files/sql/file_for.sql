-- Where what a file is for must stay: nodes that its payment's assignment considered, as JSON; a row
-- if it is the merchant's own. $1: the dispute, $2: merchant, $3: live mode.
SELECT e.content::json #>> '{details,assignment}' AS assignment
  FROM dispute d
  JOIN payment p ON p.id = d.payment
  JOIN event e ON e.subject = p.id AND e.seq = p.content_seq
 WHERE d.id = $1 AND d.merchant = $2 AND d.livemode = $3
