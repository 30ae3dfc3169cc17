-- Configurations as other nodes are to have them. $1: their ids.
SELECT id, version, to_json(c)::text AS row FROM configuration c WHERE id = ANY ($1::text[])
