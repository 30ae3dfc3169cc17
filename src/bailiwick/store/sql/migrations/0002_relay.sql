-- The outbox is read in the order of transactions: `event` is only ever appended to, so that a
-- block-range index, which costs an insert next to nothing, finds the newest rows.
-- Rows that exist already all get this migration's transaction: a relay's first pass goes through
-- everything by primary key, and needs no order among them.
ALTER TABLE event ADD COLUMN xact bigint NOT NULL DEFAULT (pg_current_xact_id()::text::bigint);
CREATE INDEX event_by_xact ON event USING brin (xact)
    WITH (pages_per_range = 64, autosummarize = on);

-- How far a consumer of the outbox has got. Whoever holds the row's lock relays.
--
-- `sweeping`: everything is gone through in the order of (payment, seq); `xact` is where
-- following begins afterwards. Else what comes after (xact, payment, seq) is still to be sent.
-- `origin` is the cluster in whose transactions `xact` counts; null, or another: begin again.
CREATE TABLE relay (
    consumer       text    PRIMARY KEY,
    origin         text,
    sweeping       boolean NOT NULL DEFAULT true,
    xact           bigint  NOT NULL DEFAULT 0,
    payment        text    NOT NULL DEFAULT '' COLLATE "C",
    seq            integer NOT NULL DEFAULT 0,
    stream         text,                       -- which making of the stream took the last event
    stream_seq     bigint  NOT NULL DEFAULT 0, -- and under which number
    published      bigint  NOT NULL DEFAULT 0,
    advanced_at    timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 50);

-- Events that the broker did not take. With `parked_at` they are passed over.
CREATE TABLE relay_trouble (
    consumer  text        NOT NULL,
    event     text        NOT NULL COLLATE "C",
    payment   text        NOT NULL COLLATE "C",
    seq       integer     NOT NULL,
    tries     integer     NOT NULL,
    reason    text        NOT NULL,
    first_at  timestamptz NOT NULL DEFAULT now(),
    parked_at timestamptz,
    PRIMARY KEY (consumer, event)
);
