-- Setups of a merchant in whose content, as it is or was, a text stands, whatever its case, or whose
-- customer it names; with that content. $1: merchant, $2: the text, in small letters.
SELECT subject, content FROM event
 WHERE merchant = $1 AND subject ^@ 'seti_' AND strpos(lower(content), $2) > 0
 UNION ALL
SELECT s.id, e.content FROM setup s JOIN event e ON e.subject = s.id AND e.seq = s.content_seq
 WHERE s.merchant = $1 AND '"customer":"' || s.customer || '"' = $2
 ORDER BY 1
