-- A page of a merchant's payments, newest first. $1: merchant, $2: live mode,
-- $3: ids below this, $4: ids above this, $5: rows at most, $6: created at or after, $7: at or before (milliseconds),
-- $8: of this customer, or null for all, $9: bytes of content, after which no further row begins.
-- `following`: the id of the row after it, whether or not that is here.
SELECT id, merchant, livemode, version, state, epoch, amount, currency, created_ms,
       updated_ms, content, amount_capturable, amount_received, amount_refunding,
       amount_refunded, attempts, open_attempt, charge_attempt, capture_before_ms, following
  FROM (SELECT found.*, lead(id) OVER w AS following, row_number() OVER w AS place,
               sum(octet_length(content)) OVER w - octet_length(content) AS before
          FROM (SELECT p.*, e.content
                  FROM payment p JOIN event e ON e.subject = p.id AND e.seq = p.content_seq
                 WHERE p.merchant = $1 AND p.livemode = $2 AND p.id < $3 AND p.id > $4
                   AND p.created_ms BETWEEN $6 AND $7
                   AND ($8::text IS NULL OR p.customer = $8)
                 ORDER BY p.id DESC
                 LIMIT $5 + 1) found
        WINDOW w AS (ORDER BY id DESC)) placed
 WHERE place <= $5 AND before < $9::bigint
 ORDER BY id DESC
