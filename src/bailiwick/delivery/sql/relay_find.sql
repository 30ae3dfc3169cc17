-- How far a consumer of the outbox has got. $1: consumer.
SELECT r.origin IS NULL OR r.sweeping AS sweeping, r.xact, r.subject, r.seq, r.published,
       (extract(epoch FROM r.advanced_at) * 1000)::bigint AS advanced_ms,
       (SELECT count(*) FROM relay_trouble t
         WHERE t.consumer = r.consumer AND t.parked_at IS NOT NULL) AS parked
  FROM relay r WHERE r.consumer = $1
