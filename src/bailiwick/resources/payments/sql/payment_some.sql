-- Payments by their ids, newest first. $1: the ids, $2: bytes of content, after which no further row
-- begins.
SELECT id, merchant, livemode, version, state, epoch, amount, currency, created_ms,
       updated_ms, content, amount_capturable, amount_received, amount_refunding,
       amount_refunded, attempts, open_attempt, charge_attempt, capture_before_ms
  FROM (SELECT p.*, e.content,
               sum(octet_length(e.content)) OVER (ORDER BY p.id DESC) - octet_length(e.content) AS before
          FROM payment p JOIN event e ON e.subject = p.id AND e.seq = p.content_seq
         WHERE p.id = ANY ($1::text[])) placed
 WHERE before < $2::bigint
 ORDER BY id DESC
