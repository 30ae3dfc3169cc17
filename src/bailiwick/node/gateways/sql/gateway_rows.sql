-- What operators have said of gateways.
SELECT name, version, state, added, settings::text, node_key, wrapped_key, credentials,
       (extract(epoch FROM changed_at) * 1000)::bigint AS changed_ms
  FROM gateway
 ORDER BY name
