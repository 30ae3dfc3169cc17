-- One payout. $1: id.
SELECT p.id, p.merchant, p.livemode, p.version, p.state, p.epoch, p.amount, p.currency, p.created_ms,
       p.updated_ms, e.content, p.gateway, p.attempts, p.open_attempt
  FROM payout p JOIN event e ON e.subject = p.id AND e.seq = p.content_seq
 WHERE p.id = $1
