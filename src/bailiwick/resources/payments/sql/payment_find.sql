-- One payment. $1: id.
SELECT p.id, p.merchant, p.livemode, p.version, p.state, p.epoch, p.amount, p.currency, p.created_ms,
       p.updated_ms, e.content, p.amount_capturable, p.amount_received, p.amount_refunding,
       p.amount_refunded, p.attempts, p.open_attempt, p.charge_attempt,
       p.capture_before_ms
  FROM payment p JOIN event e ON e.subject = p.id AND e.seq = p.content_seq
 WHERE p.id = $1
