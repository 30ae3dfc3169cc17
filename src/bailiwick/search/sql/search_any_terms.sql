-- The newest entries that have one of some terms, by their index.
-- $1: merchant, $2: kind, $3: live mode, $4: ids below this, $5: ids from this, $6: the terms,
-- $7: rows at most.
SELECT id
  FROM (SELECT id FROM search_entry
         WHERE terms && $6::bigint[]
           AND (kind = $2 AND merchant = $1 AND livemode = $3 AND id < $4 AND id >= $5) IS TRUE
        OFFSET 0) found
 ORDER BY id DESC LIMIT $7
