-- The latest changes of a gateway. $1: its name, $2: how many.
SELECT version, what, by_whom, details::text, (extract(epoch FROM at) * 1000)::bigint AS at_ms
  FROM gateway_change
 WHERE gateway = $1
 ORDER BY version DESC
 LIMIT $2
