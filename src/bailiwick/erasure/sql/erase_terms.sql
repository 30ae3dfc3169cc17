-- Forget by what something is found, with what belongs to it; what can be searched of what is left of it
-- is filled in again. $1: ids.
DELETE FROM search_entry
 WHERE id = ANY ($1::text[])
    OR id IN (SELECT id FROM attempt WHERE subject = ANY ($1::text[]))
    OR id IN (SELECT id FROM refund WHERE payment = ANY ($1::text[]))
