-- A delivery can be sent again at somebody's wish: a further sending, with tries of its own, beside
-- what is known of those before. What is sent again keeps to no order: the event arrived before, or
-- was given up.
ALTER TABLE delivery
    ADD COLUMN begun_at     timestamptz,                 -- when the first try of this sending began
    ADD COLUMN resent       integer NOT NULL DEFAULT 0,  -- sendings but the first
    ADD COLUMN tries_before integer NOT NULL DEFAULT 0,  -- tries of the sendings before this one
    ADD COLUMN resend_key   uuid;                        -- of the request that asked for this one

-- Each try, for a while: when, where to, what came back, and what followed. What was sent is the
-- event. Written with the end of the try, in one batch.
CREATE TABLE delivery_try (
    id         text    NOT NULL COLLATE "C" PRIMARY KEY,
    merchant   text    NOT NULL,
    livemode   boolean NOT NULL,
    event      text    NOT NULL COLLATE "C",
    endpoint   text    NOT NULL COLLATE "C",
    subject    text    NOT NULL COLLATE "C",
    number     integer NOT NULL,               -- from 1, over all sendings
    resent     integer NOT NULL,               -- of which sending: 0, the first
    created_ms bigint  NOT NULL,               -- when it began; also the time of its signatures
    took_ms    integer NOT NULL,
    url        text    NOT NULL,
    status     integer NOT NULL,               -- of HTTP; 0: no answer
    failure    text,                           -- why there was none
    headers    text,                           -- of the answer, a JSON object
    body       text,                           -- of the answer, its beginning
    body_cut   boolean NOT NULL,
    follows    text    NOT NULL CHECK (follows IN (
        'delivered', 'retry', 'given_up', 'endpoint_disabled')),
    next_ms    bigint                          -- when it is tried again
);
CREATE INDEX delivery_try_by_endpoint ON delivery_try (endpoint, id);
CREATE INDEX delivery_try_by_event ON delivery_try (event, endpoint, number);
ALTER TABLE delivery_try ALTER COLUMN headers SET STATISTICS 0, ALTER COLUMN body SET STATISTICS 0;

-- Secrets that were replaced, the newest first: each signs beside the new one for a while.
ALTER TABLE webhook_endpoint ADD COLUMN old_secrets json NOT NULL DEFAULT '[]';
