-- Payments of a clock's customers that hold money. $1: the clock, $2: its merchant.
SELECT p.id, p.created_ms
  FROM payment p
 WHERE p.capture_before_ms IS NOT NULL AND p.merchant = $2 AND NOT p.livemode
   AND p.customer IN (SELECT id FROM record WHERE belongs_to = $1)
 ORDER BY p.capture_before_ms
