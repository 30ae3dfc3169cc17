-- The newest entries for which any condition holds, by looking at all between two ids.
-- $1: merchant, $2: kind, $3: live mode, $4: ids below this, $5: ids from this, $6: terms of which
-- they have one, $7: terms of which they lack one, $8: amounts, $9: times of creation (milliseconds),
-- $10: rows at most.
SELECT id
  FROM (SELECT id FROM search_entry
         WHERE kind = $2 AND merchant = $1 AND livemode = $3 AND id < $4 AND id >= $5
           AND (terms && $6::bigint[] OR NOT terms @> $7::bigint[]
                OR amount::bigint <@ $8::int8multirange OR created_ms <@ $9::int8multirange) IS TRUE
        OFFSET 0) found
 ORDER BY id DESC LIMIT $10
