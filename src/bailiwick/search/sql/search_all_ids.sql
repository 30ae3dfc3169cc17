-- The newest entries for which all conditions hold, by looking at all between two ids.
-- $1: merchant, $2: kind, $3: live mode, $4: ids below this, $5: ids from this, $6: terms that they
-- have, $7: terms that they have not, $8: amounts, $9: times of creation (milliseconds), $10: rows at
-- most, $11, $12: the least and the greatest amount.
-- `IS TRUE` keeps a condition from being looked up by an index, and `OFFSET 0` the order by id from
-- being one: which index serves is said here, not guessed from statistics.
SELECT id
  FROM (SELECT id FROM search_entry
         WHERE kind = $2 AND merchant = $1 AND livemode = $3 AND id < $4 AND id >= $5
           AND (amount BETWEEN $11 AND $12 AND amount::bigint <@ $8::int8multirange
                AND created_ms <@ $9::int8multirange
                AND terms @> $6::bigint[] AND NOT terms && $7::bigint[]) IS TRUE
        OFFSET 0) found
 ORDER BY id DESC LIMIT $10
