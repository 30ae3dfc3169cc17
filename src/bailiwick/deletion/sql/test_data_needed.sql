-- Which of some records something is still there that needs them: what belongs to them, or a dispute whose
-- evidence names them. $1: their ids, $2: the merchant.
SELECT belongs_to AS id FROM record WHERE belongs_to = ANY ($1::text[])
 UNION
SELECT n.id FROM unnest($1::text[]) AS n (id)
 WHERE n.id ^@ 'file_' AND EXISTS (
       SELECT FROM dispute d WHERE d.merchant = $2 AND NOT d.livemode AND strpos(d.details::text, n.id) > 0)
