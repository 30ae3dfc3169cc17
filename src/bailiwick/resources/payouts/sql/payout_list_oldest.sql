-- A page of a merchant's payouts, oldest first. $1: merchant, $2: live mode, $3: ids below this,
-- $4: ids above this, $5: rows at most, $6: created at or after, $7: at or before (milliseconds),
-- $8: in this state, $9: to this destination, or null for all, $10: bytes of content, after which no
-- further row begins. `following`: the id of the row after it, whether or not that is here.
SELECT id, merchant, livemode, version, state, epoch, amount, currency, created_ms, updated_ms,
       content, gateway, attempts, open_attempt, following
  FROM (SELECT found.*, lead(id) OVER w AS following, row_number() OVER w AS place,
               sum(octet_length(content)) OVER w - octet_length(content) AS before
          FROM (SELECT p.*, e.content
                  FROM payout p JOIN event e ON e.subject = p.id AND e.seq = p.content_seq
                 WHERE p.merchant = $1 AND p.livemode = $2 AND p.id < $3 AND p.id > $4
                   AND p.created_ms BETWEEN $6 AND $7
                   AND ($8::text IS NULL OR p.state = $8)
                   AND ($9::text IS NULL OR e.content::json #>> '{details,destination}' = $9)
                 ORDER BY p.id
                 LIMIT $5 + 1) found
        WINDOW w AS (ORDER BY id)) placed
 WHERE place <= $5 AND before < $10::bigint
 ORDER BY id
