-- One event of a merchant, and to how many webhook endpoints it is still owed. $1: merchant,
-- $2: live mode, $3: id.
-- What is told of a person stands apart, so that it can be erased (`personal_event`).
SELECT id, subject, seq, type, CASE WHEN body IS NULL AND content IS NULL THEN (
              SELECT p.body FROM personal_event p
               WHERE p.subject = e.subject AND p.seq = e.seq)
            ELSE body END AS body,
       content, created_ms, livemode,
       (SELECT count(*) FROM delivery d WHERE d.event = e.id AND d.next_at IS NOT NULL) AS pending
  FROM event e WHERE merchant = $1 AND livemode = $2 AND id = $3
