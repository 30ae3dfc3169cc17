-- Which of these keys are there, claimed or refused, and by whom? $1: their identities.
SELECT k.writer FROM unnest($1::uuid[]) AS i (identity) JOIN idempotency_key k USING (identity)
