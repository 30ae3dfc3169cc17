-- Forget what webhook endpoints answered to what they were told of something: they may say it back.
-- $1: its id.
UPDATE delivery_try t SET headers = NULL, body = NULL
  FROM event e
 WHERE e.subject = $1 AND t.event >= e.id AND t.event < e.id || '`'  -- the event, and what is told with it
   AND (t.headers IS NOT NULL OR t.body IS NOT NULL)
RETURNING t.id
