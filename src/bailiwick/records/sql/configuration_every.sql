-- All configurations as other nodes are to have them.
SELECT id, version, to_json(c)::text AS row FROM configuration c ORDER BY id
