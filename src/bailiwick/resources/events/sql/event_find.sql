-- One event of a merchant. $1: merchant, $2: live mode, $3: id.
-- What is told of a person stands apart, so that it can be erased (`personal_event`).
SELECT id, subject, seq, type, CASE WHEN body IS NULL AND content IS NULL THEN (
              SELECT p.body FROM personal_event p
               WHERE p.subject = event.subject AND p.seq = event.seq)
            ELSE body END AS body,
       content, created_ms, livemode
  FROM event WHERE merchant = $1 AND livemode = $2 AND id = $3
