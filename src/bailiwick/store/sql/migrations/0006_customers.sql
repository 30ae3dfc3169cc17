-- What is kept of a merchant's payers beside payments: customers, saved payment methods, and whatever
-- else no provider is asked about. The prefix of an id says the kind. One row each, guarded by its
-- version, which is also the sequence of its events.
CREATE TABLE record (
    id         text    COLLATE "C" PRIMARY KEY,
    merchant   text    NOT NULL,
    livemode   boolean NOT NULL,
    version    integer NOT NULL,
    active     boolean NOT NULL,           -- in lists; not: deleted, detached
    belongs_to text    COLLATE "C",        -- the record that it is one of, and erased with
    found_by   text    COLLATE "C",        -- what lists are filtered by: a customer's e-mail address
    stays_with integer[],                  -- nodes in whose regions it may be shown; null: anywhere
    created_ms bigint  NOT NULL,
    updated_ms bigint  NOT NULL,
    details    text    NOT NULL            -- JSON; {} once it is erased
);
CREATE INDEX record_by_merchant ON record (merchant, livemode, id);
CREATE INDEX record_by_owner ON record (belongs_to, id) WHERE belongs_to IS NOT NULL;
CREATE INDEX record_by_word ON record (merchant, livemode, found_by, id) WHERE found_by IS NOT NULL;

-- Events are never changed, but a person's data must be able to go: what the events of records tell
-- of, and what requests about them were answered, stands here. Erasing puts what is left in its
-- place.
CREATE TABLE personal_event (
    subject text    NOT NULL COLLATE "C",
    seq     integer NOT NULL,
    body    text    NOT NULL,              -- the object as it was, JSON, byte for byte
    answer  text,                          -- the stored answer, where it is not the body
    PRIMARY KEY (subject, seq)
);
-- Statistics would be copies.
ALTER TABLE record ALTER COLUMN details SET STATISTICS 0, ALTER COLUMN found_by SET STATISTICS 0;
ALTER TABLE personal_event ALTER COLUMN body SET STATISTICS 0, ALTER COLUMN answer SET STATISTICS 0;
