-- The details of a payment's refunds. $1: the payment.
SELECT id, details::text AS details FROM refund WHERE payment = $1
