-- What tells whether two nodes have the same webhook endpoints in the same versions.
SELECT count(*) || '.' || md5(coalesce(string_agg(id || '.' || version, ',' ORDER BY id), '')) AS digest
  FROM webhook_endpoint
