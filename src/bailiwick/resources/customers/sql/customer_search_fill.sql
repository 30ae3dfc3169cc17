-- The entries of customers by which they are searched, as they are now; who is erased or deleted has
-- none. $1: ids of subjects, customers among them.
-- Terms are those of the object that the API shows (`render.py`); what it shows as null has none.
WITH gone AS (
    DELETE FROM search_entry s USING record r
     WHERE r.id = ANY ($1::text[]) AND r.id ^@ 'cus_' AND NOT r.active
       AND s.kind = 'cus' AND s.merchant = r.merchant AND s.livemode = r.livemode AND s.id = r.id)
INSERT INTO search_entry AS s (kind, merchant, livemode, id, amount, created_ms, terms)
SELECT 'cus', r.merchant, r.livemode, r.id, 0, r.created_ms, coalesce(t.terms, '{}')
  FROM record r
 CROSS JOIN LATERAL (
       SELECT r.details::json AS details,
              r.merchant || E'\n' || CASE WHEN r.livemode THEN 'live' ELSE 'test' END || E'\ncus' AS scope
       OFFSET 0) c
 CROSS JOIN LATERAL (
       SELECT array_agg(DISTINCT search_term(c.scope, f.field, f.key, f.value)) AS terms
         FROM (SELECT w.field, w.key, v.value
                 FROM (SELECT n.field, '' AS key, c.details ->> n.field AS value
                         FROM (VALUES ('email'), ('name'), ('phone')) n (field)
                       UNION ALL
                       SELECT 'metadata', m.key, m.value FROM json_each_text(c.details -> 'metadata') m
                      ) w CROSS JOIN LATERAL (VALUES (w.value), (NULL)) v (value)
                WHERE w.value IS NOT NULL) f) t
 WHERE r.id = ANY ($1::text[]) AND r.id ^@ 'cus_' AND r.active
ON CONFLICT (kind, merchant, livemode, id) DO UPDATE SET terms = EXCLUDED.terms
 WHERE s.terms <> EXCLUDED.terms
