-- One transaction at a time counts at a node, whichever process it is of, and none at a fenced one.
-- $1: our epoch.
SELECT pg_advisory_xact_lock(7305817), f.node
  FROM (SELECT node FROM fence WHERE fenced_at IS NULL AND epoch <= $1 FOR SHARE) AS f
