-- A part of `move.sql` for payments: their refunds, begun and ended with the payment's own move.
), refunds_begun AS (
    INSERT INTO refund (id, payment, merchant, livemode, state, amount, currency, attempt,
                        created_ms, details)
    SELECT r.id, m.id, m.merchant, m.livemode, r.state, r.amount, m.currency, r.attempt,
           m.now_ms, r.details
      FROM moved m CROSS JOIN LATERAL json_to_record(m.more -> 'refund_new') AS r (
           id text, state text, amount bigint, attempt text, details json)
     WHERE r.id IS NOT NULL
), refunds_ended AS (
    UPDATE refund f SET state = r.state, details = r.details
      FROM moved m CROSS JOIN LATERAL json_to_record(m.more -> 'refund_end') AS r (
           id text, state text, details json)
     WHERE f.id = r.id
