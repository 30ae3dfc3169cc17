-- Bring another node's configuration here, as `configuration_rows` has it; a newer one that is here
-- stays. $1: its id, $2: the row.
INSERT INTO configuration AS c (id, merchant, livemode, created_ms, details, version)
SELECT r.id, r.merchant, r.livemode, r.created_ms, r.details, r.version
  FROM json_populate_record(NULL::configuration, $2::json) r WHERE r.id = $1
ON CONFLICT (id) DO UPDATE SET details = excluded.details, version = excluded.version
 WHERE c.version < excluded.version
   AND c.merchant = excluded.merchant AND c.livemode = excluded.livemode
RETURNING id
