-- A page of a merchant's disputes, newest first. $1: merchant, $2: live mode, $3: ids below this,
-- $4: ids above this, $5: rows at most, $6: of this payment, $7: of this charge, or null for all,
-- $8: created at or after, $9: at or before (milliseconds), $10: bytes of details, after which no
-- further row begins. `following`: the id of the row after it, whether or not that is here.
SELECT id, payment, charge, merchant, livemode, gateway, provider_ref, state, funds, amount, fee,
       currency, sequence, open_attempt, due_ms, created_ms, details, following
  FROM (SELECT found.*, lead(id) OVER w AS following, row_number() OVER w AS place,
               sum(octet_length(details::text)) OVER w - octet_length(details::text) AS before
          FROM (SELECT *
                  FROM dispute
                 WHERE merchant = $1 AND livemode = $2 AND id < $3 AND id > $4
                   AND ($6::text IS NULL OR payment = $6)
                   AND ($7::text IS NULL OR charge = $7)
                   AND created_ms BETWEEN $8 AND $9
                 ORDER BY id DESC
                 LIMIT $5 + 1) found
        WINDOW w AS (ORDER BY id DESC)) placed
 WHERE place <= $5 AND before < $10::bigint
 ORDER BY id DESC
