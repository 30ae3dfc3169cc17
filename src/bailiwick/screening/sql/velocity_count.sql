-- Count. $1: counters, each slot once, $2: slots, $3: amounts, $4: until when each is needed.
INSERT INTO velocity (counter, slot_ms, amount, until_ms)
SELECT * FROM unnest($1::bytea[], $2::bigint[], $3::bigint[], $4::bigint[])
ON CONFLICT (counter, slot_ms) DO UPDATE SET amount = velocity.amount + excluded.amount
