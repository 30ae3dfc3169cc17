-- How many files of a merchant were uploaded lately, no further than it matters. $1: merchant,
-- $2: live mode, $3: since when (milliseconds), $4: at most.
SELECT count(*)
  FROM (SELECT FROM record
         WHERE merchant = $1 AND livemode = $2 AND id > 'file_' AND id < 'file_~'
           AND created_ms > $3
         LIMIT $4) found
