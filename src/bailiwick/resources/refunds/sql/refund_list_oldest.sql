-- A page of a merchant's refunds, oldest first (for ending_before). $1: merchant, $2: live mode,
-- $3: ids below this, $4: ids above this, $5: rows at most, $6: of this payment, or null for all,
-- $7: created at or after, $8: at or before (milliseconds), $9: bytes of details, after which no
-- further row begins. `charge`: of its payment. `following`: the id of the row after it, whether
-- or not that is here.
SELECT id, payment, merchant, livemode, state, amount, currency, attempt, created_ms, details,
       (SELECT charge_attempt FROM payment WHERE payment.id = placed.payment) AS charge, following
  FROM (SELECT found.*, lead(id) OVER w AS following, row_number() OVER w AS place,
               sum(octet_length(details::text)) OVER w - octet_length(details::text) AS before
          FROM (SELECT *
                  FROM refund
                 WHERE merchant = $1 AND livemode = $2 AND id < $3 AND id > $4
                   AND ($6::text IS NULL OR payment = $6)
                   AND created_ms BETWEEN $7 AND $8
                 ORDER BY id ASC
                 LIMIT $5 + 1) found
        WINDOW w AS (ORDER BY id ASC)) placed
 WHERE place <= $5 AND before < $9::bigint
 ORDER BY id ASC
