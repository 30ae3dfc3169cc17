-- Write a record's next version with its event, the answer to the request, and the webhooks owed:
-- a row if it was the next one.
-- $1: id, $2: merchant, $3: live mode, $4: version, $5: active, $6: what it belongs to, $7: what it
-- is found by, $8: where it stays, $9: created, $10: updated (milliseconds), $11: details,
-- $12: the event's id, $13: its type, $14: its body, $15: the key that it answers, or null,
-- $16: the answer's status, $17: its version, $18: its body, where that is not the event's,
-- $19: writer, $20: endpoints.
WITH written AS (
    INSERT INTO record (id, merchant, livemode, version, active, belongs_to, found_by, stays_with,
                        created_ms, updated_ms, details)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
    ON CONFLICT (id) DO UPDATE
       SET version = excluded.version, active = excluded.active, belongs_to = excluded.belongs_to,
           found_by = excluded.found_by, updated_ms = excluded.updated_ms,
           details = excluded.details
     WHERE record.version = excluded.version - 1
    RETURNING id, merchant, livemode, version, updated_ms
), events AS (
    INSERT INTO event (id, subject, seq, merchant, livemode, type, answer_key, answer_status,
                       answer_version, writer, created_ms)
    SELECT $12, w.id, w.version, w.merchant, w.livemode, $13, $15, $16, $17, $19, w.updated_ms
      FROM written w
), bodies AS (
    INSERT INTO personal_event (subject, seq, body, answer)
    SELECT w.id, w.version, $14, $18 FROM written w
), deliveries AS (
    INSERT INTO delivery (event, endpoint, subject, seq)
    SELECT $12, e.endpoint, w.id, w.version
      FROM written w CROSS JOIN unnest($20::text[]) AS e (endpoint)
)
SELECT version FROM written
