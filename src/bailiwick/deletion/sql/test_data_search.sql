-- Delete what is found of a merchant's test mode and is not there any more, page by page. The last of the
-- page; none: there is no more. $1: the merchant, $2: of which kind, $3: after this id, $4: how many.
WITH page AS MATERIALIZED (
    SELECT id FROM search_entry
     WHERE kind = $2 AND merchant = $1 AND NOT livemode AND id > $3 ORDER BY id LIMIT $4
), gone AS (
    DELETE FROM search_entry s USING page p
     WHERE s.kind = $2 AND s.merchant = $1 AND NOT s.livemode AND s.id = p.id
       AND NOT EXISTS (SELECT FROM payment o WHERE o.id = p.id)
       AND NOT EXISTS (SELECT FROM attempt a WHERE a.id = p.id)
       AND NOT EXISTS (SELECT FROM refund r WHERE r.id = p.id)
       AND NOT EXISTS (SELECT FROM record c WHERE c.id = p.id)
)
SELECT id FROM page ORDER BY id DESC LIMIT 1
