-- The foundation: fence, keys, payments, attempts, refunds, events, postings, reviews, webhooks.
--
-- Ids are compared byte by byte (COLLATE "C"): they sort by time. There are no foreign keys on
-- the hot tables: children are only ever written from their parent's RETURNING in the same
-- statement, which proves the parent exists, and `bailiwick check` joins them all.
--
-- What is long and seldom read (a payment's content, an attempt's instruction) is in the event
-- that brought it: rows that are updated stay small, since every update writes the row anew.
-- Values are checked by domains: a table's own checks are parsed anew for every batch.

CREATE DOMAIN minor_units AS bigint CHECK (VALUE >= 0);
CREATE DOMAIN currency_code AS text CHECK (VALUE ~ '^[A-Z]{3}$');
CREATE DOMAIN payment_state AS text CHECK (VALUE IN (
    'requires_payment_method', 'requires_confirmation', 'requires_action', 'processing',
    'requires_capture', 'capturing', 'voiding', 'succeeded', 'canceled'));
CREATE DOMAIN attempt_state AS text CHECK (VALUE IN (
    'permitted', 'pending', 'unknown', 'approved', 'declined', 'unsent', 'late'));
CREATE DOMAIN operation_kind AS text CHECK (VALUE IN ('charge', 'capture', 'void', 'refund'));

-- One row: which node this database is, and whether it may write. Every batch locks it FOR
-- SHARE, so a fence that updates it waits for the running batches and stops all later ones.
CREATE TABLE fence (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    node      integer NOT NULL CHECK (node BETWEEN 1 AND 65535),
    epoch     bigint  NOT NULL DEFAULT 1,      -- lowest topology epoch that may still write
    fenced_at timestamptz,                     -- set: nothing is written any more
    draining  boolean NOT NULL DEFAULT false   -- set: new payments are refused by tombstone
);

-- A claimed key, never changed. Its answer is in the first event of its payment that has it as
-- `answer_key`; without one the request is under way or was cut short.
CREATE TABLE idempotency_key (
    merchant       text     NOT NULL,
    livemode       boolean  NOT NULL,
    key            text     NOT NULL COLLATE "C",
    request_hash   text     NOT NULL,
    operation      text     NOT NULL,
    object         text COLLATE "C",           -- payment or refund that the request acts on
    payment        text COLLATE "C",           -- whose events hold the answer
    expand         text,                       -- what the client wanted expanded, for late answers
    refused        text,                       -- tombstone: this node refused the key, for ever
    writer         bigint   NOT NULL,
    created_ms     bigint   NOT NULL,
    PRIMARY KEY (merchant, livemode, key)
);

CREATE TABLE payment (
    id                text          COLLATE "C" PRIMARY KEY,
    merchant          text          NOT NULL,
    livemode          boolean       NOT NULL,
    version           integer       NOT NULL,    -- also the sequence of its events
    content_seq       integer       NOT NULL,    -- the event that holds its content
    state             payment_state NOT NULL,
    writer            bigint        NOT NULL,
    epoch             bigint        NOT NULL,
    amount            minor_units   NOT NULL,
    currency          currency_code      NOT NULL,
    amount_capturable minor_units   NOT NULL DEFAULT 0,
    amount_received   minor_units   NOT NULL DEFAULT 0,
    amount_refunding  minor_units   NOT NULL DEFAULT 0,
    amount_refunded   minor_units   NOT NULL DEFAULT 0,
    attempts          integer       NOT NULL DEFAULT 0,
    open_attempt      text          COLLATE "C", -- the one outstanding operation (refunds apart)
    charge_attempt    text          COLLATE "C", -- the attempt that holds or took the money
    created_ms        bigint        NOT NULL,
    updated_ms        bigint        NOT NULL,
    CHECK (amount > 0 AND amount_capturable <= amount AND amount_received <= amount
           AND amount_refunding + amount_refunded <= amount_received)
) WITH (fillfactor = 60);
CREATE INDEX payment_by_merchant ON payment (merchant, livemode, id);

-- One operation at one gateway. Its commit is the permit to send.
CREATE TABLE attempt (
    id            text    COLLATE "C" PRIMARY KEY,   -- of payment and number; our reference at
                                                     -- the provider
    payment       text    NOT NULL COLLATE "C",
    number        integer NOT NULL,
    refund        text    COLLATE "C",
    merchant      text    NOT NULL,
    livemode      boolean NOT NULL,
    operation     operation_kind NOT NULL,
    gateway       text    NOT NULL,
    state         attempt_state NOT NULL,
    amount        minor_units NOT NULL,
    currency      currency_code NOT NULL,
    epoch         bigint  NOT NULL,
    writer        bigint  NOT NULL,
    key           text,                        -- the idempotency key that asked for it
    seq           integer NOT NULL,            -- the event that holds its instruction
    provider_ref  text,
    result        text,                        -- what the provider said, JSON
    permitted_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    last_permit_at timestamptz NOT NULL DEFAULT clock_timestamp(),  -- a replay renews it
    next_check_at timestamptz,                 -- when the resolver looks; null: it has ended, or
                                               -- whoever was permitted is at it
    checks        integer NOT NULL DEFAULT 0,
    replays       integer NOT NULL DEFAULT 0
) WITH (fillfactor = 60);
CREATE INDEX attempt_open ON attempt (next_check_at) WHERE next_check_at IS NOT NULL;

-- Most attempts end before anybody has to look after them, and cost no index entry. Those that
-- were permitted and forgotten (their process died) are found by the time of their permit.
CREATE INDEX attempt_permitted ON attempt USING brin (permitted_at) WITH (pages_per_range = 16);
CREATE TABLE sweep (
    singleton   boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    swept_until timestamptz NOT NULL DEFAULT '-infinity'  -- nothing older is still forgotten
);
INSERT INTO sweep DEFAULT VALUES;

CREATE TABLE refund (
    id         text    COLLATE "C" PRIMARY KEY,
    payment    text    NOT NULL COLLATE "C",
    merchant   text    NOT NULL,
    livemode   boolean NOT NULL,
    state      text    NOT NULL CHECK (state IN ('pending', 'succeeded', 'failed')),
    amount     minor_units NOT NULL,
    currency   currency_code NOT NULL,
    attempt    text    NOT NULL COLLATE "C",
    created_ms bigint  NOT NULL,
    details    json    NOT NULL
);
CREATE INDEX refund_by_merchant ON refund (merchant, livemode, id);
CREATE INDEX refund_by_payment ON refund (payment, id);

-- One event for each version of a payment, gap-free; the truth of everything told outside.
CREATE TABLE event (
    id         text    NOT NULL COLLATE "C",
    payment    text    NOT NULL COLLATE "C",
    seq        integer NOT NULL,
    merchant   text    NOT NULL,
    livemode   boolean NOT NULL,
    type       text    NOT NULL,
    body       text,                           -- the object as it was, JSON, byte for byte;
                                               -- null: rendered from the content
    content    text,                           -- the payment from this version on, JSON;
                                               -- null: described as before
    instruction text,                          -- what the attempt begun here may send, JSON
    answer_key text,                           -- the idempotency key that this event answers
    answer_status smallint,
    answer_body text,                          -- null: the body is the answer
    answer_version text,
    writer     bigint  NOT NULL,
    created_ms bigint  NOT NULL,
    PRIMARY KEY (payment, seq)
) WITH (toast_tuple_target = 8160);            -- compressing a body costs more than its pages
CREATE UNIQUE INDEX event_by_merchant ON event (merchant, livemode, id);

-- Double entry: an amount moves from one account to another, so that what one version of a payment
-- books sums to zero by its form. Append-only.
CREATE TABLE posting (
    payment    text          NOT NULL COLLATE "C",
    seq        integer       NOT NULL,
    number     smallint      NOT NULL,          -- from 1, within the version
    debit      text          NOT NULL,          -- the account that gains
    credit     text          NOT NULL,
    amount     minor_units   NOT NULL,
    currency   currency_code NOT NULL,
    created_ms bigint        NOT NULL,
    PRIMARY KEY (payment, seq, number)
);
-- The same as signed entries of accounts, a debit positive.
CREATE VIEW entry AS
    SELECT payment, seq, number, debit AS account, amount::bigint, currency FROM posting
    UNION ALL
    SELECT payment, seq, number, credit, -amount, currency FROM posting;
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: correct it with a further entry', TG_TABLE_NAME;
END $$;
CREATE TRIGGER posting_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON posting
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER event_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON event
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- What a person must look at.
CREATE TABLE review (
    payment   text        NOT NULL COLLATE "C",
    attempt   text        NOT NULL COLLATE "C",
    reason    text        NOT NULL,
    detail    text,
    opened_at timestamptz NOT NULL DEFAULT now(),
    closed_at timestamptz,
    closed_by text,
    note      text,
    PRIMARY KEY (payment, attempt, reason)
);
CREATE INDEX review_open ON review (opened_at) WHERE closed_at IS NULL;

-- Callbacks seen, kept for ever: a replayed one has no second effect.
CREATE TABLE callback (
    gateway     text        NOT NULL,
    notice      text        NOT NULL,
    reference   text,
    received_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (gateway, notice)
);

CREATE TABLE webhook_endpoint (
    id         text    COLLATE "C" PRIMARY KEY,
    merchant   text    NOT NULL,
    livemode   boolean NOT NULL,
    url        text    NOT NULL,
    secret     text    NOT NULL,
    events     json    NOT NULL,
    status     text    NOT NULL CHECK (status IN ('enabled', 'disabled')),
    created_ms bigint  NOT NULL,
    details    json    NOT NULL
);

-- One event owed to one endpoint; written with the event itself.
CREATE TABLE delivery (
    event    text        NOT NULL COLLATE "C",
    endpoint text        NOT NULL COLLATE "C",
    payment  text        NOT NULL COLLATE "C",
    seq      integer     NOT NULL,
    tries    integer     NOT NULL DEFAULT 0,
    next_at  timestamptz DEFAULT now(),        -- null: delivered or given up
    status   integer,                          -- last HTTP status, 0 for no answer
    done_at  timestamptz,
    PRIMARY KEY (event, endpoint)
) WITH (fillfactor = 60);
CREATE INDEX delivery_due ON delivery (next_at) WHERE next_at IS NOT NULL;
CREATE INDEX delivery_order ON delivery (payment, endpoint, seq) WHERE next_at IS NOT NULL;

-- No query filters by what these hold: gathering statistics of them would cost more than all
-- else that autovacuum does.
ALTER TABLE event ALTER COLUMN body SET STATISTICS 0, ALTER COLUMN content SET STATISTICS 0,
    ALTER COLUMN instruction SET STATISTICS 0, ALTER COLUMN answer_body SET STATISTICS 0;
ALTER TABLE attempt ALTER COLUMN result SET STATISTICS 0;

-- The rows of a batch, as `create.sql`, `move.sql` and `key_refuse.sql` take them: an array of composites is read
-- by the server for a third of what JSON costs.
CREATE TYPE create_row AS (
    id text, merchant text, livemode boolean, key text, request_hash text, operation text,
    writer bigint, now_ms bigint, epoch bigint, state text, amount bigint, currency text,
    content text, event_id text, event_type text, event_body text, expand text,
    attempt_id text, gateway text, instruction text,
    answer_status smallint, answer_version text, endpoints text[]
);
CREATE TYPE move_row AS (
    id text, expected_version integer, expected_state text, writer bigint, now_ms bigint,
    state text, amount bigint, amount_capturable bigint, amount_received bigint,
    amount_refunding bigint, amount_refunded bigint, attempts integer,
    event_id text, event_type text, event_body text,
    open_attempt text, charge_attempt text, content text,
    end_id text, end_state text, end_ref text, end_result text, end_check_ms integer,
    debits text[], credits text[], amounts bigint[],
    answer_key text, answer_status smallint, answer_body text, answer_version text,
    endpoints text[], more json
);
CREATE TYPE refuse_row AS (
    merchant text, livemode boolean, key text, request_hash text, operation text, refused text,
    writer bigint, now_ms bigint
);
