-- Remember a callback for ever; no row comes back when it was seen before.
-- $1: gateway, $2: notice, $3: our reference.
INSERT INTO callback (gateway, notice, reference) VALUES ($1, $2, $3)
ON CONFLICT DO NOTHING RETURNING notice
