-- The details of the disputes of a payment. $1: the payment.
SELECT id, details::text AS details FROM dispute WHERE payment = $1
