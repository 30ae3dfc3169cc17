-- One event of a merchant. $1: merchant, $2: live mode, $3: id.
SELECT id, subject, seq, type, body, content, created_ms, livemode
  FROM event WHERE merchant = $1 AND livemode = $2 AND id = $3
