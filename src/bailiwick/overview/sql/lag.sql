-- What has come from each node, and what is amiss with it.
SELECT n.node, n.events, n.last_event_ms,
       (extract(epoch FROM n.received_at) * 1000)::bigint AS received_ms,
       (SELECT count(*) FROM payment_view v
         WHERE v.node = n.node AND v.gap_since IS NOT NULL) AS gaps,
       (SELECT (extract(epoch FROM min(v.gap_since)) * 1000)::bigint FROM payment_view v
         WHERE v.node = n.node AND v.gap_since IS NOT NULL) AS gap_since_ms
  FROM node_view n ORDER BY n.node
