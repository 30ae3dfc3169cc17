-- A page of a merchant's records of one kind, oldest first (for ending_before). $1: merchant, $2: live mode,
-- $3: ids below this, $4: ids above this, $5: rows at most, $6: what they belong to, or null for
-- all, $7: what they are found by, or null, $8: created at or after, $9: at or before
-- (milliseconds), $10: bytes of details, after which no further row begins.
-- `following`: the id of the row after it, whether or not that is here.
SELECT id, merchant, livemode, version, active, belongs_to, found_by, stays_with, created_ms,
       updated_ms, details, following
  FROM (SELECT found.*, lead(id) OVER w AS following, row_number() OVER w AS place,
               sum(octet_length(details)) OVER w - octet_length(details) AS before
          FROM (SELECT *
                  FROM record
                 WHERE merchant = $1 AND livemode = $2 AND id < $3 AND id > $4 AND active
                   AND ($6::text IS NULL OR belongs_to = $6)
                   AND ($7::text IS NULL OR found_by = $7)
                   AND created_ms BETWEEN $8 AND $9
                 ORDER BY id ASC
                 LIMIT $5 + 1) found
        WINDOW w AS (ORDER BY id ASC)) placed
 WHERE place <= $5 AND before < $10::bigint
 ORDER BY id ASC
