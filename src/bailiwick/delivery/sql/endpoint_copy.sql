-- Bring another node's webhook endpoint here, as `endpoint_list` has it; one that is here stays.
INSERT INTO webhook_endpoint (id, merchant, livemode, url, secret, events, status, created_ms,
                              details)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT (id) DO NOTHING RETURNING id
