-- A page of the tries of a merchant's deliveries, oldest first (for ending_before): of one event or of one endpoint, each by
-- an index of its own. $1: merchant, $2: live mode, $3: ids below this, $4: ids above this,
-- $5: rows at most, $6: of this event, or null, $7: to this endpoint, or null, $8: what followed, or
-- null for all, $9: begun at or after, $10: at or before (milliseconds), $11: bytes of answers, after
-- which no further row begins. `following`: the id of the row after it, whether or not that is here.
WITH found AS (
    (SELECT t.* FROM delivery_try t
      WHERE $6::text IS NOT NULL AND event = $6 AND ($7::text IS NULL OR endpoint = $7)
        AND merchant = $1 AND livemode = $2 AND id < $3 AND id > $4
        AND ($8::text IS NULL OR follows = $8) AND created_ms BETWEEN $9 AND $10
      ORDER BY id ASC LIMIT $5 + 1)
    UNION ALL
    (SELECT t.* FROM delivery_try t
      WHERE $6::text IS NULL AND endpoint = $7
        AND merchant = $1 AND livemode = $2 AND id < $3 AND id > $4
        AND ($8::text IS NULL OR follows = $8) AND created_ms BETWEEN $9 AND $10
      ORDER BY id ASC LIMIT $5 + 1)
)
SELECT id, merchant, livemode, event, endpoint, subject, number, resent, created_ms, took_ms, url,
       status, failure, headers, body, body_cut, follows, next_ms,
       following
  FROM (SELECT found.*, lead(id) OVER w AS following, row_number() OVER w AS place,
               sum(octet_length(coalesce(body, '')) + octet_length(coalesce(headers, ''))) OVER w
               - octet_length(coalesce(body, '')) - octet_length(coalesce(headers, '')) AS before
          FROM found
        WINDOW w AS (ORDER BY id ASC)) placed
 WHERE place <= $5 AND before < $11::bigint
 ORDER BY id ASC
