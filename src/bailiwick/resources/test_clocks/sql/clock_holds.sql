-- Payments of a clock's customers that hold money. $1: the clock, $2: its merchant.
SELECT p.id, p.created_ms
  FROM payment p JOIN event e ON e.subject = p.id AND e.seq = p.content_seq
 WHERE p.capture_before_ms IS NOT NULL AND p.merchant = $2 AND NOT p.livemode
   AND e.content::json #>> '{progress,customer}'
       IN (SELECT id FROM record WHERE belongs_to = $1)
 ORDER BY p.capture_before_ms
