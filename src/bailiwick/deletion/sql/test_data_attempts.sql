-- The attempts of some orders: their ids are their orders' own under other prefixes. $1: the orders,
-- $2: how many attempts each says that it has.
SELECT a.id, a.subject, a.state
  FROM unnest($1::text[], $2::integer[]) AS o (id, attempts)
       CROSS JOIN LATERAL generate_series(1, o.attempts) AS n (number)
       CROSS JOIN unnest(ARRAY['ch', 'at', 'setatt']) AS p (prefix)
       JOIN attempt a ON a.subject = o.id
        AND a.id = concat_ws('_', p.prefix, split_part(o.id, '_', 2), nullif(n.number, 1)::text)
