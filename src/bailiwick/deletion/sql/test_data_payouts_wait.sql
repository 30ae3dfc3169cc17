-- Let no payout be made of a merchant's test balance until the end: what was paid is what payouts are made of.
-- The lock is that of `payout_within_balance`. $1: the merchant, $2: currencies, in order.
SELECT pg_advisory_xact_lock(hashtextextended(concat_ws(' ', 'payout', $1::text, false, c.currency), 0))
  FROM unnest($2::text[]) AS c (currency)
