-- A part of `move.sql` for payments: disputes of their charges, opened and changed with the payment's
-- own move.
), disputes_opened AS (
    INSERT INTO dispute (id, payment, charge, merchant, livemode, gateway, provider_ref, state, funds,
                         amount, fee, currency, sequence, due_ms, created_ms, details)
    SELECT d.id, m.id, d.charge, m.merchant, m.livemode, d.gateway, d.provider_ref, d.state, 'held',
           d.amount, d.fee, m.currency, d.sequence, d.due_ms, m.now_ms, d.details
      FROM moved m CROSS JOIN LATERAL json_to_record(m.more -> 'dispute_new') AS d (
           id text, charge text, gateway text, provider_ref text, state text, amount bigint,
           fee bigint, sequence bigint, due_ms bigint, details json)
     WHERE d.id IS NOT NULL
), disputes_changed AS (
    UPDATE dispute f
       SET state = d.state, funds = d.funds, sequence = greatest(f.sequence, d.sequence),
           open_attempt = d.open_attempt, due_ms = d.due_ms, details = d.details
      FROM moved m CROSS JOIN LATERAL json_to_record(m.more -> 'dispute_next') AS d (
           id text, state text, funds text, sequence bigint, open_attempt text, due_ms bigint,
           details json)
     WHERE f.id = d.id
