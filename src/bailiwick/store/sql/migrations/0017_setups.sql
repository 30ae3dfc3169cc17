-- Setups: orders that store what a payer agrees to, and move no money. The domain of operations gets
-- one more word; what is stored already needs no check.
DO $$
DECLARE words text;
BEGIN
    SELECT string_agg(DISTINCT quote_literal(word), ', ') INTO words
      FROM (SELECT (regexp_matches(pg_get_constraintdef(oid), '''([a-z_]+)''', 'g'))[1] AS word
              FROM pg_constraint WHERE contypid = 'operation_kind'::regtype
             UNION VALUES ('setup')) known;
    ALTER DOMAIN operation_kind DROP CONSTRAINT operation_kind_check;
    EXECUTE format(
        'ALTER DOMAIN operation_kind ADD CONSTRAINT operation_kind_check CHECK (VALUE IN (%s)) '
        'NOT VALID', words);
END $$;

CREATE DOMAIN setup_state AS text CHECK (VALUE IN (
    'requires_payment_method', 'requires_confirmation', 'requires_action', 'processing',
    'canceling', 'succeeded', 'canceled'));
CREATE TABLE setup (
    id             text          COLLATE "C" PRIMARY KEY,
    merchant       text          NOT NULL,
    livemode       boolean       NOT NULL,
    version        integer       NOT NULL,       -- also the sequence of its events
    content_seq    integer       NOT NULL,       -- the event that holds its content
    state          setup_state   NOT NULL,
    writer         bigint        NOT NULL,
    epoch          bigint        NOT NULL,
    amount         minor_units   NOT NULL CHECK (amount = 0),  -- as every order has one
    currency       currency_code NOT NULL,
    attempts       integer       NOT NULL DEFAULT 0,
    open_attempt   text          COLLATE "C",    -- the one outstanding operation
    setup_attempt  text          COLLATE "C",    -- the latest attempt to set up
    customer       text          COLLATE "C",
    payment_method text          COLLATE "C",
    stays_with     integer[],                    -- nodes in whose regions it may be shown; null: anywhere
    created_ms     bigint        NOT NULL,
    updated_ms     bigint        NOT NULL
);
CREATE INDEX setup_by_merchant ON setup (merchant, livemode, id);
CREATE INDEX setup_by_customer ON setup (customer, id) WHERE customer IS NOT NULL;
CREATE INDEX setup_by_method ON setup (payment_method, id) WHERE payment_method IS NOT NULL;

CREATE TYPE setup_create_row AS (
    id text, merchant text, livemode boolean, key text, request_hash text, operation text,
    writer bigint, now_ms bigint, epoch bigint, state text, amount bigint, currency text,
    content text, event_id text, event_type text, identity uuid, event_body text, expand text,
    attempt_id text, gateway text, instruction text,
    answer_status smallint, answer_version text, endpoints text[],
    customer text, payment_method text, stays_with integer[], more json
);
CREATE TYPE setup_move_row AS (
    id text, expected_version integer, expected_state text, writer bigint, now_ms bigint,
    state text, attempts integer, event_id text, event_type text, event_body text,
    open_attempt text, content text,
    end_id text, end_state text, end_ref text, end_result text, end_check_ms integer,
    debits text[], credits text[], amounts bigint[],
    answer_key text, answer_status smallint, answer_body text, answer_version text,
    endpoints text[], more json,
    setup_attempt text, customer text, payment_method text
);
