-- A page of a merchant's setups, newest first. $1: merchant, $2: live mode,
-- $3: ids below this, $4: ids above this, $5: rows at most, $6: created at or after, $7: at or before (milliseconds),
-- $8: of this customer, or null for all, $9: of this payment method, or null, $10: bytes of content,
-- after which no further row begins.
-- `following`: the id of the row after it, whether or not that is here.
SELECT id, merchant, livemode, version, state, epoch, amount, currency, created_ms,
       updated_ms, content, attempts, open_attempt, setup_attempt, customer, payment_method,
       following
  FROM (SELECT found.*, lead(id) OVER w AS following, row_number() OVER w AS place,
               sum(octet_length(content)) OVER w - octet_length(content) AS before
          FROM (SELECT s.*, e.content
                  FROM setup s JOIN event e ON e.subject = s.id AND e.seq = s.content_seq
                 WHERE s.merchant = $1 AND s.livemode = $2 AND s.id < $3 AND s.id > $4
                   AND s.created_ms BETWEEN $6 AND $7
                   AND ($8::text IS NULL OR s.customer = $8)
                   AND ($9::text IS NULL OR s.payment_method = $9)
                 ORDER BY s.id DESC
                 LIMIT $5 + 1) found
        WINDOW w AS (ORDER BY id DESC)) placed
 WHERE place <= $5 AND before < $10::bigint
 ORDER BY id DESC
