-- Those of some records, and setups of payers, that may be shown in some regions only. $1: ids.
SELECT id, stays_with FROM record WHERE id = ANY ($1::text[]) AND stays_with IS NOT NULL
 UNION ALL
SELECT id, stays_with FROM setup WHERE id = ANY ($1::text[]) AND stays_with IS NOT NULL
