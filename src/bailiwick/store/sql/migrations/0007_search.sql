-- What can be searched: an entry for each object, written from the events by a task of its own, after
-- the fact and off the path of payments. Nothing here is the truth; all of it can be made again.

-- 64 bits over whose object of which kind it is, a field (with a key, for metadata), and its value;
-- without a value, that the field has one. The same function as `term` in `search/terms.py`.
CREATE FUNCTION search_term(scope text, field text, key text, value text) RETURNS bigint
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN ('x' || substr(encode(sha256(convert_to(
        scope || E'\n' || field || E'\n' || length(key) || ':' || key
        || CASE WHEN value IS NULL THEN '?' ELSE '=' || lower(value COLLATE "C") END,
        'UTF8')), 'hex'), 1, 16))::bit(64)::bigint;

CREATE TABLE search_entry (
    kind       text        NOT NULL COLLATE "C",  -- the prefix of its id
    merchant   text        NOT NULL,
    livemode   boolean     NOT NULL,
    id         text        NOT NULL COLLATE "C",
    amount     minor_units NOT NULL,
    created_ms bigint      NOT NULL,
    terms      bigint[]    NOT NULL,
    PRIMARY KEY (kind, merchant, livemode, id)
) WITH (fillfactor = 80);
CREATE INDEX search_entry_amount ON search_entry (kind, merchant, livemode, amount);
-- Without a list of what is not yet in the index: each search would read all of that.
CREATE INDEX search_entry_terms ON search_entry USING gin (terms) WITH (fastupdate = off);
-- Whoever searches says what is used (see `search/index.py`); statistics of terms cost, and mislead.
ALTER TABLE search_entry ALTER COLUMN terms SET STATISTICS 0;
