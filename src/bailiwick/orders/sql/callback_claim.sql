-- Remember for ever a callback that was carried out.
-- $1: gateway, $2: notice, $3: our reference.
INSERT INTO callback (gateway, notice, reference) VALUES ($1, $2, $3)
ON CONFLICT DO NOTHING RETURNING notice
