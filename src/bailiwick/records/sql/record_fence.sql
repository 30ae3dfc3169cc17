-- Whether records may be written: a row if so, and no fence closes until the transaction ends.
-- $1: the epoch.
SELECT node FROM fence WHERE fenced_at IS NULL AND epoch <= $1 FOR SHARE
