-- Test data that was deleted: a row for each time that somebody asked, and one for each order that went
-- (a payment, a payout, a setup). Providers keep their own books; the id of an order says which rows there
-- were of its attempts.
CREATE TABLE test_data_deletion (
    run        text        PRIMARY KEY COLLATE "C",
    merchant   text        NOT NULL,
    deleted_by text        NOT NULL,              -- an operator's name
    begun_at   timestamptz NOT NULL DEFAULT now(),
    ended_at   timestamptz                        -- null: it was cut off, or something was left
);
CREATE TABLE test_data_order (
    id  text PRIMARY KEY COLLATE "C",
    run text NOT NULL COLLATE "C"
);

-- Only an order of test mode is ever noted, while it is there: what stands below goes by that.
CREATE FUNCTION refuse_live_order() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT bool_or(o.livemode) FROM (
            SELECT livemode FROM payment WHERE id = NEW.id
             UNION ALL SELECT livemode FROM payout WHERE id = NEW.id
             UNION ALL SELECT livemode FROM setup WHERE id = NEW.id) o) IS DISTINCT FROM false THEN
        RAISE EXCEPTION '% is no order of test mode', NEW.id;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER test_data_order_of_test_mode BEFORE INSERT OR UPDATE ON test_data_order
    FOR EACH ROW EXECUTE FUNCTION refuse_live_order();

-- Postings and events stay append-only. A transaction that deletes test data says so
-- (`bailiwick.deleting_test_data`), and may delete those of orders that are noted, and the events of
-- records of test mode: nothing else's.
CREATE FUNCTION refuse_change_but_noted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND current_setting('bailiwick.deleting_test_data', true) = 'on' THEN
        RETURN NULL;
    END IF;
    IF TG_OP = 'UPDATE' AND TG_TABLE_NAME = 'event'
       AND current_setting('bailiwick.erasing', true) = 'on' THEN
        RETURN NULL;
    END IF;
    RAISE EXCEPTION '% is append-only: correct it with a further entry', TG_TABLE_NAME;
END $$;
DROP TRIGGER event_append_only ON event;
CREATE TRIGGER event_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON event
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_but_noted();
DROP FUNCTION refuse_change_but_erasure();
DROP TRIGGER posting_append_only ON posting;
CREATE TRIGGER posting_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON posting
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_but_noted();
CREATE FUNCTION refuse_all_but_test_data() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM test_data_order o WHERE o.id = OLD.subject) THEN
        RETURN OLD;
    END IF;
    IF TG_TABLE_NAME = 'event'
       AND EXISTS (SELECT FROM record r WHERE r.id = OLD.subject AND NOT r.livemode) THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION '% is append-only: this is no test data', TG_TABLE_NAME;
END $$;
CREATE TRIGGER event_deleted_only BEFORE DELETE ON event FOR EACH ROW
    EXECUTE FUNCTION refuse_all_but_test_data();
CREATE TRIGGER posting_deleted_only BEFORE DELETE ON posting FOR EACH ROW
    EXECUTE FUNCTION refuse_all_but_test_data();

-- Nor does such a transaction touch anything else of live mode.
CREATE FUNCTION refuse_live() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a row of % is of live mode: only test data is deleted', TG_TABLE_NAME;
END $$;
DO $$
DECLARE of_both text;
BEGIN
    FOREACH of_both IN ARRAY ARRAY['payment', 'payout', 'setup', 'record', 'attempt', 'refund', 'dispute',
                                   'event', 'delivery_try', 'search_entry', 'idempotency_key'] LOOP
        EXECUTE format(
            'CREATE TRIGGER %1$s_live_stays BEFORE DELETE ON %1$s FOR EACH ROW WHEN (OLD.livemode '
            'AND current_setting(''bailiwick.deleting_test_data'', true) = ''on'') '
            'EXECUTE FUNCTION refuse_live()', of_both);
    END LOOP;
END $$;
