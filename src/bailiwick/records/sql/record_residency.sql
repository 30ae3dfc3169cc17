-- Those of some records that may be shown in some regions only. $1: ids.
SELECT id, stays_with FROM record WHERE id = ANY ($1::text[]) AND stays_with IS NOT NULL
