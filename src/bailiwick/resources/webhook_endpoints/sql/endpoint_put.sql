-- Write a webhook endpoint; repeating it changes nothing, whoever has the id. $1: id,
-- $2: merchant, $3: live mode, $4: url, $5: secret, $6: events, $7: created, $8: details,
-- $9: the version of a change that is made now.
INSERT INTO webhook_endpoint (id, merchant, livemode, url, secret, events, status, created_ms,
                              details, version)
VALUES ($1, $2, $3, $4, $5, $6, 'enabled', $7, $8, $9)
ON CONFLICT (id) DO NOTHING RETURNING id
