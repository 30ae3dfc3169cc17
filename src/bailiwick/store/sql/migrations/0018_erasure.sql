-- Erasure: what is personal of a payer goes out of what is kept of money. A row for each thing that was
-- erased: the event `seq` tells of it, and no event before that holds anything personal any more.
CREATE TABLE erasure (
    subject   text        NOT NULL COLLATE "C",
    seq       integer     NOT NULL,
    run       text        NOT NULL COLLATE "C",  -- one for each time that somebody asked
    erased_by text        NOT NULL,              -- an operator's name
    erased_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (subject, seq)
);

-- Events stay append-only. A transaction that erases says so (`bailiwick.erasing`), and may replace what
-- events before an erasure tell by what is left of it: nothing else of them, and nothing else's events;
-- nothing appears where there was nothing, and nothing vanishes whole.
CREATE FUNCTION refuse_change_but_erasure() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND current_setting('bailiwick.erasing', true) = 'on' THEN
        RETURN NULL;
    END IF;
    RAISE EXCEPTION '% is append-only: correct it with a further entry', TG_TABLE_NAME;
END $$;
DROP TRIGGER event_append_only ON event;
CREATE TRIGGER event_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON event
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_but_erasure();
CREATE FUNCTION refuse_all_but_erasure() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE told CONSTANT text[] := ARRAY['body', 'content', 'instruction', 'answer_body'];
BEGIN
    IF to_jsonb(NEW) - told = to_jsonb(OLD) - told
       AND (NEW.body IS NULL, NEW.content IS NULL, NEW.instruction IS NULL, NEW.answer_body IS NULL)
         = (OLD.body IS NULL, OLD.content IS NULL, OLD.instruction IS NULL, OLD.answer_body IS NULL)
       AND EXISTS (SELECT FROM erasure e WHERE e.subject = OLD.subject AND e.seq > OLD.seq) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION '% is append-only: this is no erasure', TG_TABLE_NAME;
END $$;
CREATE TRIGGER event_erased_only BEFORE UPDATE ON event FOR EACH ROW
    WHEN (current_setting('bailiwick.erasing', true) = 'on')
    EXECUTE FUNCTION refuse_all_but_erasure();

-- Statistics would be copies; a change of type, though to the same, forgets those that there are.
ALTER TABLE review ALTER COLUMN detail TYPE text, ALTER COLUMN note TYPE text;
ALTER TABLE review ALTER COLUMN detail SET STATISTICS 0, ALTER COLUMN note SET STATISTICS 0;
