-- The versions of webhook endpoints, in the order of their ids. $1: above this id, $2: rows at most.
SELECT id, version FROM webhook_endpoint WHERE id > $1 ORDER BY id LIMIT $2
