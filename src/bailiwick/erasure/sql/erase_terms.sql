-- Forget by what something is found, with what belongs to it; what can be searched of what is left of it
-- is filled in again. $1: its id.
WITH owner AS (
    SELECT merchant, livemode FROM event WHERE subject = $1 AND seq = 1
), part AS (
    SELECT $1 AS id
     UNION ALL
    SELECT id FROM attempt
     WHERE id BETWEEN 'ch_' || split_part($1, '_', 2) AND 'ch_' || split_part($1, '_', 2) || '_~'
     UNION ALL
    SELECT id FROM refund WHERE payment = $1
)
DELETE FROM search_entry s USING owner o, part p
 WHERE s.kind = split_part(p.id, '_', 1) AND s.merchant = o.merchant AND s.livemode = o.livemode
   AND s.id = p.id
