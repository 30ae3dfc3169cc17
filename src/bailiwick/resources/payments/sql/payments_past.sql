-- Payments that were tried, in the order of time, with the gateways and states of their charges, for
-- a dry run. $1: made from then on, $2: and before then (Unix milliseconds).
SELECT p.id, p.merchant, p.livemode, p.version, p.state, p.epoch, p.amount, p.currency, p.created_ms,
       p.updated_ms, e.content, p.amount_capturable, p.amount_received, p.amount_refunding,
       p.amount_refunded, p.attempts, p.open_attempt, p.charge_attempt,
       p.capture_before_ms,
       ARRAY(SELECT a.gateway || ' ' || a.state FROM attempt a
              WHERE a.id BETWEEN 'ch_' || split_part(p.id, '_', 2)
                             AND 'ch_' || split_part(p.id, '_', 2) || '_~'
                AND a.operation = 'charge' ORDER BY a.number) AS charges
  FROM payment p JOIN event e ON e.subject = p.id AND e.seq = p.content_seq
 WHERE p.attempts > 0 AND p.created_ms >= $1 AND p.created_ms < $2
 ORDER BY p.id
