-- Change a webhook endpoint. $1: id, $2: merchant, $3: live mode, $4: url, $5: events,
-- $6: status, $7: details.
UPDATE webhook_endpoint SET url = $4, events = $5, status = $6, details = $7
 WHERE id = $1 AND merchant = $2 AND livemode = $3
RETURNING id
