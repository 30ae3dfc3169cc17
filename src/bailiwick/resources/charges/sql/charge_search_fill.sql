-- The entries of payments' charges by which these are searched, as they are now. $1: the payments.
-- Terms are those of the object that the API shows (`payments/render.py`); what it shows as null has
-- none, and that there is a value has one only where there may be none.
INSERT INTO search_entry AS s (kind, merchant, livemode, id, amount, created_ms, terms)
SELECT 'ch', p.merchant, p.livemode, a.id, a.amount, p.created_ms, t.terms
  FROM payment p JOIN event e ON e.subject = p.id AND e.seq = p.content_seq
  JOIN attempt a ON a.subject = p.id
   AND a.id BETWEEN 'ch_' || substr(p.id, 4) AND 'ch_' || substr(p.id, 4) || '_~'
 CROSS JOIN LATERAL (
       SELECT e.content::json -> 'progress' AS progress,
              p.charge_attempt = a.id AND a.state = 'approved' AS holds,
              p.merchant || E'\n' || CASE WHEN p.livemode THEN 'live' ELSE 'test' END || E'\nch' AS scope
       OFFSET 0) c
 CROSS JOIN LATERAL (
       SELECT array_agg(search_term(c.scope, f.field, f.key, f.value)) AS terms
         FROM (SELECT 'currency' AS field, '' AS key, p.currency::text AS value
               UNION ALL
               SELECT 'status', '', CASE WHEN c.holds OR a.state = 'late' THEN 'succeeded'
                                         WHEN a.state IN ('declined', 'unsent') THEN 'failed'
                                         ELSE 'pending' END
               UNION ALL
               SELECT 'refunded', '', CASE WHEN c.holds AND p.amount_received > 0
                                            AND p.amount_received = p.amount_refunded
                                           THEN 'true' ELSE 'false' END
               UNION ALL
               SELECT w.field, w.key, v.value
                 FROM (SELECT 'customer' AS field, '' AS key, c.progress ->> 'customer' AS value
                       UNION ALL
                       SELECT 'metadata', m.key, m.value
                         FROM json_each_text(coalesce(c.progress #> ARRAY['charges', a.id, 'metadata'],
                                                      c.progress -> 'metadata')) m
                      ) w CROSS JOIN LATERAL (VALUES (w.value), (NULL)) v (value)
                WHERE w.value IS NOT NULL) f) t
 WHERE p.id = ANY ($1::text[])
ON CONFLICT (kind, merchant, livemode, id) DO UPDATE
   SET amount = EXCLUDED.amount, terms = EXCLUDED.terms
 WHERE s.amount <> EXCLUDED.amount OR s.terms <> EXCLUDED.terms
