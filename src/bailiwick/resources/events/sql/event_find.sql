-- One event of a merchant, and to how many webhook endpoints it is still owed. $1: merchant,
-- $2: live mode, $3: id.
SELECT id, subject, seq, type, body, content, created_ms, livemode,
       (SELECT count(*) FROM delivery d WHERE d.event = e.id AND d.next_at IS NOT NULL) AS pending
  FROM event e WHERE merchant = $1 AND livemode = $2 AND id = $3
