-- Charges by their ids, each with its payment, newest first. $1: the ids, $2: bytes of content, after
-- which no further row begins.
SELECT id, merchant, livemode, version, state, epoch, amount, currency, created_ms,
       updated_ms, content, amount_capturable, amount_received, amount_refunding,
       amount_refunded, attempts, open_attempt, charge_attempt, capture_before_ms,
       charge, charge_state, charge_amount, gateway, provider_ref, result
  FROM (SELECT p.*, e.content, a.id AS charge, a.state AS charge_state, a.amount AS charge_amount,
               a.gateway, a.provider_ref, a.result,
               sum(octet_length(e.content)) OVER (ORDER BY a.id DESC) - octet_length(e.content) AS before
          FROM attempt a JOIN payment p ON p.id = a.subject
          JOIN event e ON e.subject = p.id AND e.seq = p.content_seq
         WHERE a.id = ANY ($1::text[])) placed
 WHERE before < $2::bigint
 ORDER BY charge DESC
