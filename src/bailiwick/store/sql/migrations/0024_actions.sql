-- What a payer has to do is more than an address to go to. Only what waits for a payer is shown, so only
-- that is written anew: the content that holds it stays what it says.
SELECT set_config('bailiwick.erasing', 'on', true);  -- else no event may be changed
UPDATE event e
   SET content = jsonb_set(
           e.content::jsonb #- '{progress,action_url}', '{progress,action}',
           jsonb_build_object('type', 'redirect', 'url', e.content::jsonb #> '{progress,action_url}'))::text
  FROM (SELECT id, content_seq FROM payment WHERE state = 'requires_action'
         UNION ALL
        SELECT id, content_seq FROM setup WHERE state = 'requires_action') waiting
 WHERE e.subject = waiting.id AND e.seq = waiting.content_seq
   AND e.content::jsonb #> '{progress,action_url}' IS NOT NULL;
SELECT set_config('bailiwick.erasing', 'off', true);
