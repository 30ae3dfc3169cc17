-- Take a batch of events: each once for ever; a payment only ever goes forward.
-- $1: the events as JSON. Gives the ids of those that were new.
WITH input AS MATERIALIZED (
    SELECT * FROM json_to_recordset($1::json) AS i (
        event text, type text, seq integer, payment text, node integer, merchant text,
        livemode boolean, created_ms bigint, version integer, state text, amount bigint,
        currency text, amount_capturable bigint, amount_received bigint, amount_refunded bigint,
        attempts integer, epoch bigint, payment_created_ms bigint, charge_attempt text,
        key_hash text)
), fresh AS (
    INSERT INTO inbox (payment, seq, event, type, created_ms)
    SELECT payment, seq, event, type, created_ms FROM input
    ON CONFLICT DO NOTHING
    RETURNING payment, seq, event, created_ms
), places AS (
    -- The table as it was before this statement: a place counts once, however many events claim it.
    SELECT f.payment, count(DISTINCT f.seq)::integer AS fresh
      FROM fresh f
     WHERE NOT EXISTS (SELECT FROM inbox b WHERE b.payment = f.payment AND b.seq = f.seq)
     GROUP BY f.payment
), newest AS (
    SELECT DISTINCT ON (payment) * FROM input ORDER BY payment, version DESC, seq DESC
), summed AS (
    SELECT i.payment, max(i.seq) AS highest, max(i.key_hash) AS key_hash
      FROM input i GROUP BY i.payment
), viewed AS (
    INSERT INTO payment_view AS v (
           payment, node, merchant, livemode, version, state, amount, currency,
           amount_capturable, amount_received, amount_refunded, attempts, charge_attempt, epoch,
           payment_created_ms, key_hash, seen, highest, gap_since)
    SELECT n.payment, n.node, n.merchant, n.livemode, n.version, n.state, n.amount, n.currency,
           n.amount_capturable, n.amount_received, n.amount_refunded, n.attempts,
           n.charge_attempt, n.epoch, n.payment_created_ms, s.key_hash, coalesce(p.fresh, 0),
           s.highest, CASE WHEN coalesce(p.fresh, 0) < s.highest THEN now() END
      FROM newest n JOIN summed s ON s.payment = n.payment
      LEFT JOIN places p ON p.payment = n.payment
     ORDER BY n.payment
    ON CONFLICT (payment) DO UPDATE
       SET version = greatest(v.version, EXCLUDED.version),
           state = CASE WHEN EXCLUDED.version > v.version THEN EXCLUDED.state
                        ELSE v.state END,
           amount = CASE WHEN EXCLUDED.version > v.version THEN EXCLUDED.amount
                         ELSE v.amount END,
           amount_capturable = CASE WHEN EXCLUDED.version > v.version
                                    THEN EXCLUDED.amount_capturable ELSE v.amount_capturable END,
           amount_received = CASE WHEN EXCLUDED.version > v.version
                                  THEN EXCLUDED.amount_received ELSE v.amount_received END,
           amount_refunded = CASE WHEN EXCLUDED.version > v.version
                                  THEN EXCLUDED.amount_refunded ELSE v.amount_refunded END,
           attempts = CASE WHEN EXCLUDED.version > v.version THEN EXCLUDED.attempts
                           ELSE v.attempts END,
           charge_attempt = CASE WHEN EXCLUDED.version > v.version
                                 THEN EXCLUDED.charge_attempt ELSE v.charge_attempt END,
           epoch = CASE WHEN EXCLUDED.version > v.version THEN EXCLUDED.epoch
                        ELSE v.epoch END,
           key_hash = coalesce(v.key_hash, EXCLUDED.key_hash),
           seen = v.seen + EXCLUDED.seen,
           highest = greatest(v.highest, EXCLUDED.highest),
           gap_since = CASE WHEN v.seen + EXCLUDED.seen < greatest(v.highest, EXCLUDED.highest)
                            THEN coalesce(v.gap_since, now()) END
     WHERE EXCLUDED.version > v.version OR EXCLUDED.seen > 0
), told AS (
    INSERT INTO node_view AS w (node, events, last_event_ms, received_at)
    SELECT i.node, count(*), max(i.created_ms), now()
      FROM input i JOIN fresh f ON f.event = i.event AND f.payment = i.payment AND f.seq = i.seq
     GROUP BY i.node
    ON CONFLICT (node) DO UPDATE
       SET events = w.events + EXCLUDED.events,
           last_event_ms = greatest(w.last_event_ms, EXCLUDED.last_event_ms),
           received_at = EXCLUDED.received_at
)
SELECT event FROM fresh
