-- How often, or how much, was tried within a slot of time, by a keyed hash of a limit and of whom it counts.
CREATE TABLE velocity (
    counter bytea NOT NULL,
    slot_ms bigint NOT NULL,
    amount bigint NOT NULL,
    until_ms bigint NOT NULL,
    PRIMARY KEY (counter, slot_ms)
) WITH (fillfactor = 70);
CREATE INDEX velocity_until ON velocity (until_ms);
