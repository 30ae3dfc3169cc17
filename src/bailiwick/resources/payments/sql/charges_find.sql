-- What charge objects show of attempts. $1: their ids.
SELECT id, state, amount, gateway, provider_ref, result FROM attempt WHERE id = ANY ($1::text[])
