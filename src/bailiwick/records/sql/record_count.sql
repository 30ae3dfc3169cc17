-- How many records in use belong to one. $1: the owner's id.
SELECT count(*) FROM record WHERE belongs_to = $1 AND active
