-- Disputes: two more operations, evidence and to concede, beside those that there are; and a row for
-- each dispute, written with its payment's own move. What is stored already needs no check.
DO $$
DECLARE words text;
BEGIN
    SELECT string_agg(DISTINCT quote_literal(word), ', ') INTO words
      FROM (SELECT (regexp_matches(pg_get_constraintdef(oid), '''([a-z_]+)''', 'g'))[1] AS word
              FROM pg_constraint WHERE contypid = 'operation_kind'::regtype
             UNION VALUES ('evidence'), ('concede')) known;
    ALTER DOMAIN operation_kind DROP CONSTRAINT operation_kind_check;
    EXECUTE format(
        'ALTER DOMAIN operation_kind ADD CONSTRAINT operation_kind_check CHECK (VALUE IN (%s)) '
        'NOT VALID', words);
END $$;

CREATE TABLE dispute (
    id           text          COLLATE "C" PRIMARY KEY,
    payment      text          NOT NULL COLLATE "C",
    charge       text          NOT NULL COLLATE "C",  -- the attempt whose money is disputed
    merchant     text          NOT NULL,
    livemode     boolean       NOT NULL,
    gateway      text          NOT NULL,
    provider_ref text          NOT NULL,              -- the provider's id of it
    state        text          NOT NULL CHECK (state IN (
        'warning_needs_response', 'warning_under_review', 'warning_closed', 'needs_response',
        'under_review', 'won', 'lost')),
    funds        text          NOT NULL CHECK (funds IN ('held', 'withdrawn', 'reinstated')),
    amount       minor_units   NOT NULL,
    fee          minor_units   NOT NULL,
    currency     currency_code NOT NULL,
    sequence     bigint        NOT NULL,              -- the provider's latest news of it
    open_attempt text          COLLATE "C",           -- what the provider is asked just now
    due_ms       bigint,                              -- until when evidence is taken
    created_ms   bigint        NOT NULL,
    details      json          NOT NULL,
    UNIQUE (gateway, provider_ref)
);
CREATE INDEX dispute_by_merchant ON dispute (merchant, livemode, id);
CREATE INDEX dispute_by_payment ON dispute (payment, id);
