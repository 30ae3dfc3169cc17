-- The versions of configurations, in the order of their ids. $1: above this id, $2: rows at most.
SELECT id, version FROM configuration WHERE id > $1 ORDER BY id LIMIT $2
