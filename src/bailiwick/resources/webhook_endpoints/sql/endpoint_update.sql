-- Change a webhook endpoint. $1: id, $2: merchant, $3: live mode, $4: url, $5: events,
-- $6: status, $7: details, $8: the version of a change that is made now.
UPDATE webhook_endpoint
   SET url = $4, events = $5, status = $6, details = $7,
       version = greatest(version + 1 + ($8::bigint & 1048575), $8)
 WHERE id = $1 AND merchant = $2 AND livemode = $3 AND deleted_ms IS NULL
RETURNING id
