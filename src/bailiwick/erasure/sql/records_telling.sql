-- Records of a merchant that tell, or told, a text, whatever its case, with what they tell. $1: merchant,
-- $2: the text, in small letters.
SELECT r.id, r.belongs_to, r.details AS told FROM record r
 WHERE r.merchant = $1 AND strpos(lower(r.details), $2) > 0
 UNION ALL
SELECT r.id, r.belongs_to, t.body FROM record r JOIN personal_event t ON t.subject = r.id
 WHERE r.merchant = $1 AND r.details <> '{}' AND strpos(lower(t.body), $2) > 0
 ORDER BY 1
