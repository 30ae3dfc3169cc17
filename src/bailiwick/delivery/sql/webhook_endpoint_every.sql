-- All webhook endpoints as other nodes are to have them, deleted ones included.
SELECT id, version, to_json(e)::text AS row FROM webhook_endpoint e ORDER BY id
