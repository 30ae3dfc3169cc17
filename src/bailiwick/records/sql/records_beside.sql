-- A part of `create.sql` and `move.sql` of a kind that writes records beside its orders: each with
-- its event and the webhooks owed; nothing for an owner that was erased meanwhile.
), records_given AS MATERIALIZED (
    SELECT m.merchant, m.livemode, m.now_ms, m.writer, s.*
      FROM @written m CROSS JOIN LATERAL json_to_recordset(m.more -> 'records') AS s (
           id text, version integer, active boolean, belongs_to text, stays_with integer[],
           details text, event_id text, event text, body text, endpoints text[])
     WHERE s.belongs_to IS NULL OR s.belongs_to IN (SELECT o.id FROM records_owners o)
), records_written AS (
    INSERT INTO record (id, merchant, livemode, version, active, belongs_to, stays_with, created_ms,
                        updated_ms, details)
    SELECT g.id, g.merchant, g.livemode, g.version, g.active, g.belongs_to, g.stays_with, g.now_ms,
           g.now_ms, g.details
      FROM records_given g
    ON CONFLICT (id) DO UPDATE
       SET version = excluded.version, active = excluded.active, belongs_to = excluded.belongs_to,
           updated_ms = excluded.updated_ms, details = excluded.details
     WHERE record.version = excluded.version - 1
    RETURNING id
), records_events AS (
    INSERT INTO event (id, subject, seq, merchant, livemode, type, writer, created_ms)
    SELECT g.event_id, g.id, g.version, g.merchant, g.livemode, g.event, g.writer, g.now_ms
      FROM records_given g JOIN records_written w ON w.id = g.id
), records_told AS (
    INSERT INTO personal_event (subject, seq, body)
    SELECT g.id, g.version, g.body FROM records_given g JOIN records_written w ON w.id = g.id
), records_owed AS (
    INSERT INTO delivery (event, endpoint, subject, seq)
    SELECT g.event_id, e.endpoint, g.id, g.version
      FROM records_given g JOIN records_written w ON w.id = g.id
     CROSS JOIN LATERAL unnest(g.endpoints) AS e (endpoint)
