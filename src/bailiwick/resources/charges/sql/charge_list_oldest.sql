-- A page of a merchant's charges, oldest first (for ending_before). A charge's id is its payment's with
-- another prefix, and a number from the second on: so payments are gone through in the order of their
-- ids, and each one's charges are found by key. $1: merchant, $2: live mode, $3: ids below this,
-- $4: ids above this, $5: rows at most, $6: payments up to this id, $7: from this id, $8: created at
-- or after, $9: at or before (milliseconds), $10: of this customer, or null for all, $11: bytes of
-- content, after which no further row begins. `following`: the id of the row after it, whether or
-- not that is here.
SELECT id, merchant, livemode, version, state, epoch, amount, currency, created_ms,
       updated_ms, content, amount_capturable, amount_received, amount_refunding,
       amount_refunded, attempts, open_attempt, charge_attempt, capture_before_ms,
       charge, charge_state, charge_amount, gateway, provider_ref, result, following
  FROM (SELECT found.*, lead(charge) OVER w AS following, row_number() OVER w AS place,
               sum(octet_length(content)) OVER w - octet_length(content) AS before
          FROM (SELECT p.*, e.content, a.*
                  FROM payment p JOIN event e ON e.subject = p.id AND e.seq = p.content_seq
                 CROSS JOIN LATERAL (
                       SELECT c.id AS charge, c.state AS charge_state, c.amount AS charge_amount,
                              c.gateway, c.provider_ref, c.result
                         FROM attempt c
                        WHERE c.id BETWEEN 'ch_' || substr(p.id, 4) AND 'ch_' || substr(p.id, 4) || '_~'
                          AND c.subject = p.id AND c.id < $3 AND c.id > $4
                        ORDER BY c.id ASC OFFSET 0) a
                 WHERE p.merchant = $1 AND p.livemode = $2 AND p.id <= $6 AND p.id >= $7
                   AND p.attempts > 0 AND p.created_ms BETWEEN $8 AND $9
                   AND ($10::text IS NULL OR p.customer = $10)
                 ORDER BY p.id ASC, a.charge ASC
                 LIMIT $5 + 1) found
        WINDOW w AS (ORDER BY charge ASC)) placed
 WHERE place <= $5 AND before < $11::bigint
 ORDER BY charge ASC
