-- The entries of payments by which they are searched, as they are now. $1: their ids.
-- Terms are those of the object that the API shows (`render.py`); what it shows as null has none,
-- and that there is a value has one only where there may be none.
INSERT INTO search_entry AS s (kind, merchant, livemode, id, amount, created_ms, terms)
SELECT 'pi', p.merchant, p.livemode, p.id, p.amount, p.created_ms, t.terms
  FROM payment p JOIN event e ON e.subject = p.id AND e.seq = p.content_seq
 CROSS JOIN LATERAL (
       SELECT e.content::json -> 'progress' AS progress,
              p.merchant || E'\n' || CASE WHEN p.livemode THEN 'live' ELSE 'test' END || E'\npi' AS scope
       OFFSET 0) c
 CROSS JOIN LATERAL (
       SELECT array_agg(search_term(c.scope, f.field, f.key, f.value)) AS terms
         FROM (SELECT 'currency' AS field, '' AS key, p.currency::text AS value
               UNION ALL
               SELECT 'status', '', CASE WHEN p.state IN ('incrementing', 'capturing', 'voiding')
                                         THEN 'processing' ELSE p.state END
               UNION ALL
               SELECT w.field, w.key, v.value
                 FROM (SELECT 'customer' AS field, '' AS key, c.progress ->> 'customer' AS value
                       UNION ALL
                       SELECT 'metadata', m.key, m.value FROM json_each_text(c.progress -> 'metadata') m
                      ) w CROSS JOIN LATERAL (VALUES (w.value), (NULL)) v (value)
                WHERE w.value IS NOT NULL) f) t
 WHERE p.id = ANY ($1::text[])
ON CONFLICT (kind, merchant, livemode, id) DO UPDATE
   SET amount = EXCLUDED.amount, terms = EXCLUDED.terms
 WHERE s.amount <> EXCLUDED.amount OR s.terms <> EXCLUDED.terms
