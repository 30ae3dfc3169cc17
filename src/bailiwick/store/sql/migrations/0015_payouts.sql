-- Payouts: an order of their own kind, two more operations, and that no payout is made over the
-- balance: held here, whoever writes.
DO $$
DECLARE words text;
BEGIN
    SELECT string_agg(DISTINCT quote_literal(word), ', ') INTO words
      FROM (SELECT (regexp_matches(pg_get_constraintdef(oid), '''([a-z_]+)''', 'g'))[1] AS word
              FROM pg_constraint WHERE contypid = 'operation_kind'::regtype
             UNION VALUES ('payout'), ('payout_cancel')) known;
    ALTER DOMAIN operation_kind DROP CONSTRAINT operation_kind_check;
    EXECUTE format(
        'ALTER DOMAIN operation_kind ADD CONSTRAINT operation_kind_check CHECK (VALUE IN (%s)) '
        'NOT VALID', words);
END $$;

CREATE TABLE payout (
    id           text          COLLATE "C" PRIMARY KEY,
    merchant     text          NOT NULL,
    livemode     boolean       NOT NULL,
    version      integer       NOT NULL,    -- also the sequence of its events
    content_seq  integer       NOT NULL,    -- the event that holds its content
    state        text          NOT NULL CHECK (state IN (
        'pending', 'in_transit', 'paid', 'failed', 'canceled')),
    writer       bigint        NOT NULL,
    epoch        bigint        NOT NULL,
    amount       minor_units   NOT NULL CHECK (amount > 0),
    currency     currency_code NOT NULL,
    attempts     integer       NOT NULL DEFAULT 0,
    open_attempt text          COLLATE "C", -- what the provider is asked, without a definite answer
    gateway      text          NOT NULL,    -- whose money is sent
    created_ms   bigint        NOT NULL,
    updated_ms   bigint        NOT NULL
);
CREATE INDEX payout_by_merchant ON payout (merchant, livemode, id);

CREATE TYPE payout_create_row AS (
    id text, merchant text, livemode boolean, key text, request_hash text, operation text,
    writer bigint, now_ms bigint, epoch bigint, state text, amount bigint, currency text,
    content text, event_id text, event_type text, identity uuid, event_body text, expand text,
    attempt_id text, gateway text, instruction text,
    answer_status smallint, answer_version text, endpoints text[],
    debit text, credit text
);
CREATE TYPE payout_move_row AS (
    id text, expected_version integer, expected_state text, writer bigint, now_ms bigint,
    state text, attempts integer, event_id text, event_type text, event_body text,
    open_attempt text, content text,
    end_id text, end_state text, end_ref text, end_result text, end_check_ms integer,
    debits text[], credits text[], amounts bigint[],
    answer_key text, answer_status smallint, answer_body text, answer_version text,
    endpoints text[], more json
);

-- What each gateway holds of a merchant's money, less what is on its way: by the postings of payments,
-- and the payouts themselves. Payouts of one statement see each other, row by row.
CREATE FUNCTION payout_room(of_merchant text, of_mode boolean, of_currency text)
RETURNS TABLE (gateway text, amount bigint) LANGUAGE sql AS $$
    SELECT g.gateway, sum(g.amount)::bigint
      FROM (SELECT split_part(p.debit, ':', 2) AS gateway, p.amount::bigint AS amount
              FROM posting p JOIN payment o ON o.id = p.subject
             WHERE p.credit = 'merchant:' || of_merchant AND p.currency = of_currency
               AND o.livemode = of_mode
             UNION ALL
            SELECT split_part(p.credit, ':', 2), -p.amount
              FROM posting p JOIN payment o ON o.id = p.subject
             WHERE p.debit = 'merchant:' || of_merchant AND p.currency = of_currency
               AND o.livemode = of_mode
             UNION ALL
            SELECT t.gateway, -t.amount FROM payout t
             WHERE t.merchant = of_merchant AND t.livemode = of_mode AND t.currency = of_currency
               AND t.state NOT IN ('failed', 'canceled')) g
     GROUP BY g.gateway
$$;

CREATE FUNCTION payout_within_balance() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE here bigint; at_all bigint;
BEGIN
    -- One payout after the other: each sees what those before it have left, for what is read after
    -- the lock is read anew.
    PERFORM pg_advisory_xact_lock(
        hashtextextended(concat_ws(' ', 'payout', NEW.merchant, NEW.livemode, NEW.currency), 0));
    SELECT coalesce(sum(r.amount) FILTER (WHERE r.gateway = NEW.gateway), 0),
           coalesce(sum(r.amount), 0)
      INTO here, at_all
      FROM payout_room(NEW.merchant, NEW.livemode, NEW.currency) r;
    IF NEW.amount > least(here, at_all) THEN
        RAISE EXCEPTION 'balance_insufficient' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER payout_within_balance BEFORE INSERT ON payout
    FOR EACH ROW EXECUTE FUNCTION payout_within_balance();
