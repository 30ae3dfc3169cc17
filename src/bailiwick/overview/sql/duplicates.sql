-- Keys of which there is more than one payment, oldest finding first. $1: rows at most.
SELECT d.key_hash, (extract(epoch FROM d.found_at) * 1000)::bigint AS found_ms,
       (SELECT json_agg(json_build_object(
                   'id', v.payment, 'node', v.node, 'merchant', v.merchant, 'state', v.state,
                   'amount', v.amount, 'currency', v.currency,
                   'amount_received', v.amount_received, 'amount_refunded', v.amount_refunded)
               ORDER BY v.payment)::text
          FROM payment_view v WHERE v.key_hash = d.key_hash) AS payments
  FROM duplicate d ORDER BY d.found_at, d.key_hash LIMIT $1
