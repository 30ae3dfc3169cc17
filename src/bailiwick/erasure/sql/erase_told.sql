-- The event that tells of an order's erasure, and to whom it is owed. $1: its id, $2: the order,
-- $3: its version, $4: merchant, $5: live mode, $6: type, $7: body, $8: writer, $9: now,
-- $10: endpoints.
WITH told AS (
    INSERT INTO event (id, subject, seq, merchant, livemode, type, body, writer, created_ms)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
    RETURNING id, subject, seq
), owed AS (
    INSERT INTO delivery (event, endpoint, subject, seq)
    SELECT t.id, e.endpoint, t.subject, t.seq
      FROM told t CROSS JOIN unnest($10::text[]) AS e (endpoint)
)
SELECT id FROM told
