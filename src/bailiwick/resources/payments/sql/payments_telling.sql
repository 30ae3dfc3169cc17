-- Payments of a merchant in whose content, as it is or was, a text stands, whatever its case; with that
-- content. $1: merchant, $2: the text, in small letters.
SELECT subject, content FROM event
 WHERE merchant = $1 AND subject ^@ 'pi_' AND strpos(lower(content), $2) > 0
 UNION ALL
SELECT d.payment, d.details::text FROM dispute d
 WHERE d.merchant = $1 AND strpos(lower(d.details::text), $2) > 0
 ORDER BY 1
