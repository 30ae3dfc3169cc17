-- The customer of a payment where a list can look for it: the index has only payments that have one, so
-- that others write nothing for it, and their updates stay within a page.
ALTER TABLE payment ADD COLUMN customer text COLLATE "C";
UPDATE payment p SET customer = e.content::json #>> '{progress,customer}'
  FROM event e
 WHERE e.subject = p.id AND e.seq = p.content_seq AND e.content LIKE '%"customer":"%';
CREATE INDEX payment_by_customer ON payment (customer, id) WHERE customer IS NOT NULL;
ALTER TYPE payment_create_row ADD ATTRIBUTE customer text;
ALTER TYPE payment_move_row ADD ATTRIBUTE customer text;
