-- What tells whether two nodes have the same configurations in the same versions.
SELECT count(*) || '.' || md5(coalesce(string_agg(id || '.' || version, ',' ORDER BY id), '')) AS digest
  FROM configuration
