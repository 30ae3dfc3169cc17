-- Holds: until when they last, how much may be taken of them, in how many parts.
-- The index has only payments that are held: others write nothing for it, and their updates stay
-- within a page.
ALTER TABLE payment ADD COLUMN capture_before_ms bigint;
CREATE INDEX payment_held ON payment (capture_before_ms) WHERE capture_before_ms IS NOT NULL;
ALTER TYPE payment_move_row ADD ATTRIBUTE capture_before_ms bigint;

-- The final capture may take more than was authorized, where the provider allows it: how much is
-- decided with the hold, and held against the attempts by `bailiwick check`.
ALTER TABLE payment DROP CONSTRAINT payment_check;
ALTER TABLE payment ADD CONSTRAINT payment_check CHECK (
    amount > 0 AND amount_capturable <= amount AND amount_received <= 2 * amount
    AND amount_refunding + amount_refunded <= amount_received);
