-- The foundation: fence, keys, payments, attempts, refunds, events, postings, reviews, webhooks.
--
-- Ids are compared byte by byte (COLLATE "C"): they sort by time. There are no foreign keys on
-- the hot tables: children are only ever written from their parent's RETURNING in the same
-- statement, which proves the parent exists, and `bailiwick check` joins them all.

-- One row: which node this database is, and whether it may write. Every batch locks it FOR
-- SHARE, so a fence that updates it waits for the running batches and stops all later ones.
CREATE TABLE fence (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    node      integer NOT NULL CHECK (node BETWEEN 1 AND 65535),
    epoch     bigint  NOT NULL DEFAULT 1,      -- lowest topology epoch that may still write
    fenced_at timestamptz,                     -- set: nothing is written any more
    draining  boolean NOT NULL DEFAULT false   -- set: new payments are refused by tombstone
);

-- A claimed key. Without `answer_status` the request is under way or was cut short.
CREATE TABLE idempotency_key (
    merchant       text     NOT NULL,
    livemode       boolean  NOT NULL,
    key            text     NOT NULL COLLATE "C",
    request_hash   text     NOT NULL,
    operation      text     NOT NULL,
    object         text,                       -- payment or refund that the request acts on
    expand         text,                       -- what the client wanted expanded, for late answers
    refused        text,                       -- tombstone: this node refused the key, for ever
    writer         bigint   NOT NULL,
    created_ms     bigint   NOT NULL,
    answer_status  smallint,
    answer_body    text,                       -- null: the body of `answer_event` is the answer
    answer_event   text COLLATE "C",
    answer_version text,
    PRIMARY KEY (merchant, livemode, key)
) WITH (fillfactor = 50);

CREATE TABLE payment (
    id                text    COLLATE "C" PRIMARY KEY,
    merchant          text    NOT NULL,
    livemode          boolean NOT NULL,
    version           integer NOT NULL CHECK (version > 0),  -- also the sequence of its events
    state             text    NOT NULL CHECK (state IN (
                          'requires_payment_method', 'requires_confirmation', 'requires_action',
                          'processing', 'requires_capture', 'capturing', 'voiding',
                          'succeeded', 'canceled')),
    writer            bigint  NOT NULL,
    epoch             bigint  NOT NULL,
    amount            bigint  NOT NULL CHECK (amount > 0),
    currency          text    NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    amount_capturable bigint  NOT NULL DEFAULT 0 CHECK (amount_capturable BETWEEN 0 AND amount),
    amount_received   bigint  NOT NULL DEFAULT 0 CHECK (amount_received BETWEEN 0 AND amount),
    amount_refunding  bigint  NOT NULL DEFAULT 0 CHECK (amount_refunding >= 0),
    amount_refunded   bigint  NOT NULL DEFAULT 0 CHECK (amount_refunded >= 0),
    attempts          integer NOT NULL DEFAULT 0,
    open_attempt      text    COLLATE "C",     -- the one outstanding operation (refunds apart)
    charge_attempt    text    COLLATE "C",     -- the attempt that holds or took the money
    created_ms        bigint  NOT NULL,
    updated_ms        bigint  NOT NULL,
    details           json    NOT NULL,        -- fixed at creation
    progress          json    NOT NULL,        -- what may change
    CHECK (amount_refunding + amount_refunded <= amount_received)
) WITH (fillfactor = 60);
CREATE INDEX payment_by_merchant ON payment (merchant, livemode, id);

-- One operation at one gateway. Its commit is the permit to send.
CREATE TABLE attempt (
    id            text    COLLATE "C" PRIMARY KEY,   -- also our reference at the provider
    payment       text    NOT NULL COLLATE "C",
    number        integer NOT NULL,
    refund        text    COLLATE "C",
    merchant      text    NOT NULL,
    livemode      boolean NOT NULL,
    operation     text    NOT NULL CHECK (operation IN ('charge', 'capture', 'void', 'refund')),
    gateway       text    NOT NULL,
    state         text    NOT NULL CHECK (state IN ('permitted', 'pending', 'unknown', 'approved',
                                                    'declined', 'unsent', 'late')),
    amount        bigint  NOT NULL CHECK (amount > 0),
    currency      text    NOT NULL,
    epoch         bigint  NOT NULL,
    writer        bigint  NOT NULL,
    key           text,                        -- the idempotency key that asked for it
    instruction   json    NOT NULL,
    provider_ref  text,
    result        json,
    permitted_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    last_permit_at timestamptz NOT NULL DEFAULT clock_timestamp(),  -- a replay renews it
    next_check_at timestamptz,                 -- when the resolver looks; null: nothing is open
    checks        integer NOT NULL DEFAULT 0,
    replays       integer NOT NULL DEFAULT 0
) WITH (fillfactor = 60);
CREATE UNIQUE INDEX attempt_by_payment ON attempt (payment, number);
CREATE INDEX attempt_open ON attempt (next_check_at) WHERE next_check_at IS NOT NULL;

CREATE TABLE refund (
    id         text    COLLATE "C" PRIMARY KEY,
    payment    text    NOT NULL COLLATE "C",
    merchant   text    NOT NULL,
    livemode   boolean NOT NULL,
    state      text    NOT NULL CHECK (state IN ('pending', 'succeeded', 'failed')),
    amount     bigint  NOT NULL CHECK (amount > 0),
    currency   text    NOT NULL,
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
    body       text    NOT NULL,               -- the object as it was, JSON, byte for byte
    writer     bigint  NOT NULL,
    created_ms bigint  NOT NULL,
    PRIMARY KEY (payment, seq)
);
CREATE UNIQUE INDEX event_by_merchant ON event (merchant, livemode, id);

-- Double entry: the legs of one version of a payment sum to zero. Append-only.
CREATE TABLE posting (
    payment    text     NOT NULL COLLATE "C",
    seq        integer  NOT NULL,
    leg        smallint NOT NULL,
    account    text     NOT NULL,
    amount     bigint   NOT NULL CHECK (amount <> 0),
    currency   text     NOT NULL,
    created_ms bigint   NOT NULL,
    PRIMARY KEY (payment, seq, leg)
);
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
ALTER TABLE event ALTER COLUMN body SET STATISTICS 0;
ALTER TABLE idempotency_key ALTER COLUMN answer_body SET STATISTICS 0;
ALTER TABLE payment ALTER COLUMN details SET STATISTICS 0, ALTER COLUMN progress SET STATISTICS 0;
ALTER TABLE attempt ALTER COLUMN instruction SET STATISTICS 0, ALTER COLUMN result SET STATISTICS 0;
