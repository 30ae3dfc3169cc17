-- A part of `create.sql` for payouts: the amount leaves the balance with the permit to send it.
), posted AS (
    INSERT INTO posting (subject, seq, number, debit, credit, amount, currency, created_ms)
    SELECT w.id, 1, 1, w.debit, w.credit, w.amount, w.currency, w.now_ms FROM won w
