-- A part of `move.sql` for payments: a payment method saved with the payment's own move, unless its
-- customer was erased meanwhile. The customer's row is held until the commit: who erases it waits,
-- and finds this payment method.
), methods_saved AS MATERIALIZED (
    SELECT m.merchant, m.livemode, m.now_ms, m.writer, s.*
      FROM moved m CROSS JOIN LATERAL json_to_record(m.more -> 'method_saved') AS s (
           id text, customer text, stays_with integer[], details text, event_id text, event text,
           body text, endpoints text[])
     CROSS JOIN LATERAL (
           SELECT r.id AS owner FROM record r
            WHERE r.id = s.customer AND r.details <> '{}' FOR SHARE) AS o
     WHERE s.id IS NOT NULL
), methods_written AS (
    INSERT INTO record (id, merchant, livemode, version, active, belongs_to, stays_with, created_ms,
                        updated_ms, details)
    SELECT s.id, s.merchant, s.livemode, 1, true, s.customer, s.stays_with, s.now_ms, s.now_ms,
           s.details
      FROM methods_saved s
), methods_events AS (
    INSERT INTO event (id, subject, seq, merchant, livemode, type, writer, created_ms)
    SELECT s.event_id, s.id, 1, s.merchant, s.livemode, s.event, s.writer, s.now_ms
      FROM methods_saved s
), methods_told AS (
    INSERT INTO personal_event (subject, seq, body) SELECT s.id, 1, s.body FROM methods_saved s
), methods_owed AS (
    INSERT INTO delivery (event, endpoint, subject, seq)
    SELECT s.event_id, e.endpoint, s.id, 1
      FROM methods_saved s CROSS JOIN LATERAL unnest(s.endpoints) AS e (endpoint)
