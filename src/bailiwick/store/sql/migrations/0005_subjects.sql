-- What happens is kept by its subject, whatever kind of thing that is: the prefix of an id says the
-- kind (`pi_`: a payment), so that payouts, customers and the like have events, keys, attempts and
-- reviews as payments have. Nothing is written anew: columns and an index change their names.
ALTER TABLE idempotency_key RENAME COLUMN payment TO subject;
ALTER TABLE event RENAME COLUMN payment TO subject;
ALTER TABLE posting RENAME COLUMN payment TO subject;
ALTER VIEW entry RENAME COLUMN payment TO subject;
ALTER TABLE delivery RENAME COLUMN payment TO subject;
ALTER TABLE review RENAME COLUMN payment TO subject;
ALTER TABLE relay RENAME COLUMN payment TO subject;
ALTER TABLE relay_trouble RENAME COLUMN payment TO subject;
ALTER TABLE attempt RENAME COLUMN payment TO subject;
ALTER TABLE attempt RENAME COLUMN refund TO acts_on;  -- what beside its subject it acts on: a refund

-- What has moved on an account, in the order of time: balances, statements.
CREATE INDEX posting_by_debit ON posting (debit, created_ms);
CREATE INDEX posting_by_credit ON posting (credit, created_ms);

-- The rows of a batch: what orders of all kinds have, then the kind's own columns.
DROP TYPE create_row;
CREATE TYPE payment_create_row AS (
    id text, merchant text, livemode boolean, key text, request_hash text, operation text,
    writer bigint, now_ms bigint, epoch bigint, state text, amount bigint, currency text,
    content text, event_id text, event_type text, identity uuid, event_body text, expand text,
    attempt_id text, gateway text, instruction text,
    answer_status smallint, answer_version text, endpoints text[]
);
DROP TYPE move_row;
CREATE TYPE payment_move_row AS (
    id text, expected_version integer, expected_state text, writer bigint, now_ms bigint,
    state text, attempts integer, event_id text, event_type text, event_body text,
    open_attempt text, content text,
    end_id text, end_state text, end_ref text, end_result text, end_check_ms integer,
    debits text[], credits text[], amounts bigint[],
    answer_key text, answer_status smallint, answer_body text, answer_version text,
    endpoints text[], more json,
    amount bigint, amount_capturable bigint, amount_received bigint,
    amount_refunding bigint, amount_refunded bigint, charge_attempt text
);
