-- Send an event to an endpoint again: a further sending of what has ended, with tries of its own; one
-- that is still owed becomes due at once, unless a try of it is under way. The same request again
-- changes nothing. $1: event, $2: endpoint, $3: subject, $4: sequence, $5: the request's key.
WITH open_fence AS (
    SELECT node FROM fence WHERE fenced_at IS NULL FOR SHARE
), sent AS (
    INSERT INTO delivery AS d (event, endpoint, subject, seq, resent, resend_key)
    SELECT $1, $2, $3, $4, 1, $5 FROM open_fence
    ON CONFLICT (event, endpoint) DO UPDATE
       SET next_at = now(), done_at = NULL, resend_key = EXCLUDED.resend_key,
           resent = d.resent + CASE WHEN d.next_at IS NULL THEN 1 ELSE 0 END,
           tries_before = CASE WHEN d.next_at IS NULL THEN d.tries ELSE d.tries_before END,
           begun_at = CASE WHEN d.next_at IS NULL THEN NULL ELSE d.begun_at END
     WHERE d.resend_key IS DISTINCT FROM EXCLUDED.resend_key
       AND (d.next_at IS NULL OR d.tries = 0
            OR EXISTS (SELECT FROM delivery_try t WHERE t.event = d.event
                        AND t.endpoint = d.endpoint AND t.number = d.tries))
    RETURNING d.event
)
SELECT EXISTS (SELECT FROM open_fence) AS open, EXISTS (SELECT FROM sent) AS sent
