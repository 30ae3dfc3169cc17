-- Bring another node's webhook endpoint here, as `endpoint_list` has it; one that is here stays.
INSERT INTO webhook_endpoint (id, merchant, livemode, url, secret, events, status, created_ms,
                              details, old_secrets)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
ON CONFLICT (id) DO NOTHING RETURNING id
