-- What people may still come back for. It reads every payment: for one look, not for a loop.
SELECT count(*) FILTER (WHERE state IN ('requires_payment_method', 'requires_confirmation')) AS unconfirmed,
       count(*) FILTER (WHERE state = 'requires_action') AS action,
       count(*) FILTER (WHERE state = 'requires_capture') AS capture,
       (SELECT count(*) FROM refund WHERE state = 'pending') AS refunds,
       (SELECT count(*) FROM delivery WHERE next_at IS NOT NULL) AS deliveries,
       (SELECT count(*) FROM review WHERE closed_at IS NULL) AS reviews
  FROM payment
