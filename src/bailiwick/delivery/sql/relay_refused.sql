-- The broker refused an event. $1: consumer, $2: event, $3: subject, $4: sequence, $5: reason,
-- $6: with so many tries it is parked.
INSERT INTO relay_trouble AS t (consumer, event, subject, seq, tries, reason, parked_at)
VALUES ($1, $2, $3, $4, 1, $5, CASE WHEN $6::integer <= 1 THEN now() END)
ON CONFLICT (consumer, event) DO UPDATE
   SET tries = t.tries + 1, reason = EXCLUDED.reason,
       parked_at = CASE WHEN t.tries + 1 >= $6::integer THEN coalesce(t.parked_at, now()) END
RETURNING parked_at IS NOT NULL AS parked
