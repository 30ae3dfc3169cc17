-- The overview: what nodes have told of their payments, each event taken once for ever.

-- One row: the name under which the broker remembers how far this database has read. A fresh
-- database has a fresh name, and so reads the stream from its beginning.
CREATE TABLE reader (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    durable   text    NOT NULL DEFAULT 'overview-' || substr(md5(gen_random_uuid()::text), 1, 12)
);
INSERT INTO reader DEFAULT VALUES;

-- Events taken. Never deleted: an event that comes again, after however long, changes nothing.
-- An event's id belongs to one place of one payment, so the places come first in the key.
CREATE TABLE inbox (
    payment     text        NOT NULL COLLATE "C",
    seq         integer     NOT NULL CHECK (seq > 0),
    event       text        NOT NULL COLLATE "C",
    type        text        NOT NULL,
    created_ms  bigint      NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (payment, seq, event)
);

-- The newest version known of each payment. `seen`: how many of its places 1 to `highest` have
-- come; fewer than `highest` is a gap.
CREATE TABLE payment_view (
    payment            text        COLLATE "C" PRIMARY KEY,
    node               integer     NOT NULL,
    merchant           text        NOT NULL,
    livemode           boolean     NOT NULL,
    version            integer     NOT NULL,
    state              text        NOT NULL,
    amount             bigint      NOT NULL,
    currency           text        NOT NULL,
    amount_capturable  bigint      NOT NULL,
    amount_received    bigint      NOT NULL,
    amount_refunded    bigint      NOT NULL,
    attempts           integer     NOT NULL,
    charge_attempt     text        COLLATE "C",
    epoch              bigint      NOT NULL,
    payment_created_ms bigint      NOT NULL,
    key_hash           text        COLLATE "C",
    seen               integer     NOT NULL,
    highest            integer     NOT NULL,
    gap_since          timestamptz
);
CREATE INDEX payment_by_merchant ON payment_view (merchant, payment);
CREATE INDEX payment_by_node ON payment_view (node, payment);
CREATE INDEX payment_by_key ON payment_view (key_hash) WHERE key_hash IS NOT NULL;
CREATE INDEX payment_with_gap ON payment_view (node, payment) WHERE gap_since IS NOT NULL;

-- One key, two payments: charged at two nodes, perhaps twice.
CREATE TABLE duplicate (
    key_hash text        PRIMARY KEY COLLATE "C",
    found_at timestamptz NOT NULL DEFAULT now()
);

-- One place of one payment, two events: two databases have both been this node.
CREATE TABLE fork (
    payment  text        NOT NULL COLLATE "C",
    seq      integer     NOT NULL,
    found_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (payment, seq)
);

-- What has come from each node.
CREATE TABLE node_view (
    node          integer     PRIMARY KEY,
    events        bigint      NOT NULL,
    last_event_ms bigint      NOT NULL,            -- when the newest event was written there
    received_at   timestamptz NOT NULL
);
