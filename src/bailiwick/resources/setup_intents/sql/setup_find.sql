-- One setup. $1: id.
SELECT s.id, s.merchant, s.livemode, s.version, s.state, s.epoch, s.amount, s.currency, s.created_ms,
       s.updated_ms, e.content, s.attempts, s.open_attempt, s.setup_attempt, s.customer,
       s.payment_method
  FROM setup s JOIN event e ON e.subject = s.id AND e.seq = s.content_seq
 WHERE s.id = $1
