-- Move orders of one kind from one version to the next: one guarded write each, and everything that
-- follows from it (key, attempts, postings, event, deliveries, answer, review, and what the kind
-- has beside its orders) selected from that write's RETURNING. A row whose guard fails, whose key
-- is taken, or whose node is fenced, leaves no trace; the writer tokens that come back tell which
-- rows moved.
-- The caller sends at most one row per order, sorted by id. Parts marked as seldom are left out for
-- a batch in which no row needs them: each costs, used or not. What begins with @ the kind fills in
-- (``OrderTable``).
-- $1: the rows, $2: the epoch.
WITH open_fence AS (
    SELECT node FROM fence WHERE fenced_at IS NULL AND epoch <= $2 FOR SHARE
), input AS MATERIALIZED (
    SELECT i.* FROM open_fence CROSS JOIN unnest($1::@table_move_row[]) AS i
--{ seldom
@held
), locked AS MATERIALIZED (
    SELECT i.id, i.writer, i.now_ms, o.merchant, o.livemode, c.*
      FROM input i CROSS JOIN LATERAL json_to_record(i.more -> 'claim') AS c (
           identity uuid, key text, request_hash text, operation text, object text, expand text)
      JOIN @table o ON o.id = i.id
     WHERE c.identity IS NOT NULL
       AND o.version = i.expected_version AND o.state = i.expected_state
@as_held
     ORDER BY o.id
       FOR NO KEY UPDATE OF o
), claimed AS (
    INSERT INTO idempotency_key (identity, merchant, livemode, key, request_hash, operation, object,
                                 subject, expand, writer, created_ms)
    SELECT l.identity, l.merchant, l.livemode, l.key, l.request_hash, l.operation, l.object, l.id,
           l.expand, l.writer, l.now_ms
      FROM locked l
    ON CONFLICT DO NOTHING
    RETURNING writer
--}
), moved AS (
    UPDATE @table o
       SET version = o.version + 1, state = i.state, writer = i.writer, updated_ms = i.now_ms,
           content_seq = CASE WHEN i.content IS NULL THEN o.content_seq ELSE o.version + 1 END,
           attempts = i.attempts, open_attempt = i.open_attempt@guarded
      FROM input i
     WHERE o.id = i.id AND o.version = i.expected_version AND o.state = i.expected_state
--{ seldom
       AND (i.more -> 'claim' IS NULL
            OR EXISTS (SELECT FROM claimed c WHERE c.writer = i.writer))
@as_held
--}
    RETURNING o.id, o.version, o.merchant, o.livemode, o.currency, o.epoch, o.writer, i.now_ms,
              i.event_id, i.event_type, i.event_body, i.content, i.end_id, i.end_state, i.end_ref,
              i.end_result, i.end_check_ms, i.debits, i.credits, i.amounts, i.answer_key, i.answer_status,
              i.answer_body, i.answer_version, i.endpoints, i.more, @also AS also
), ends AS (
    UPDATE attempt a
       SET state = m.end_state, provider_ref = coalesce(m.end_ref, a.provider_ref),
           result = m.end_result,
           next_check_at = clock_timestamp() + m.end_check_ms * interval '1 millisecond'
      FROM moved m
     WHERE a.id = m.end_id
--{ seldom
), other_ends AS (
    UPDATE attempt a
       SET state = e.state, provider_ref = coalesce(e.provider_ref, a.provider_ref),
           result = e.result, next_check_at = NULL
      FROM moved m CROSS JOIN LATERAL json_to_recordset(m.more -> 'ends') AS e (
           id text, state text, provider_ref text, result text)
     WHERE a.id = e.id
), begun AS (
    INSERT INTO attempt (id, subject, number, acts_on, merchant, livemode, operation, gateway,
                         state, amount, currency, epoch, writer, key, seq)
    SELECT n.id, m.id, n.number, n.acts_on, m.merchant, m.livemode, n.operation, n.gateway,
           'permitted', n.amount, m.currency, n.epoch, m.writer, n.key, m.version
      FROM moved m CROSS JOIN LATERAL json_to_record(m.more -> 'attempt_new') AS n (
           id text, number integer, acts_on text, operation text, gateway text, amount bigint,
           epoch bigint, key text)
     WHERE n.id IS NOT NULL
), stepped AS (
    UPDATE attempt a
       SET state = 'permitted', seq = m.version, epoch = s.epoch,
           provider_ref = coalesce(s.provider_ref, a.provider_ref),
           stepped_at = clock_timestamp(), last_permit_at = clock_timestamp(),
           next_check_at = clock_timestamp() + s.check_ms * interval '1 millisecond',
           checks = 0, replays = 0
      FROM moved m CROSS JOIN LATERAL json_to_record(m.more -> 'attempt_step') AS s (
           id text, epoch bigint, check_ms bigint, provider_ref text)
     WHERE a.id = s.id
), known AS (
    INSERT INTO known_object (attempt, provider_ref, gateway)
    SELECT k.attempt, k.provider_ref, k.gateway
      FROM moved m CROSS JOIN LATERAL json_to_record(m.more -> 'known') AS k (
           attempt text, provider_ref text, gateway text)
     WHERE k.attempt IS NOT NULL
    ON CONFLICT DO NOTHING
@parts
--}
), posted AS (
    INSERT INTO posting (subject, seq, number, debit, credit, amount, currency, created_ms)
    SELECT m.id, m.version, g.number, g.debit, g.credit, g.amount, m.currency, m.now_ms
      FROM moved m CROSS JOIN LATERAL unnest(m.debits, m.credits, m.amounts) WITH ORDINALITY
           AS g (debit, credit, amount, number)
), events AS (
    INSERT INTO event (id, subject, seq, merchant, livemode, type, body, content, instruction,
                       answer_key, answer_status, answer_body, answer_version, writer, created_ms,
                       also)
    SELECT m.event_id, m.id, m.version, m.merchant, m.livemode, m.event_type, m.event_body,
           m.content, coalesce(m.more #>> '{attempt_new,instruction}',
                               m.more #>> '{attempt_step,instruction}'), m.answer_key, m.answer_status,
           m.answer_body, m.answer_version, m.writer, m.now_ms, m.also
      FROM moved m
--{ seldom
), deliveries AS (  -- "we_1" is owed the event itself, "we_1/2" the second one that is told with it
    INSERT INTO delivery (event, endpoint, subject, seq)
    SELECT concat_ws('_', m.event_id, nullif(split_part(e.endpoint, '/', 2), '')),
           split_part(e.endpoint, '/', 1), m.id, m.version
      FROM moved m CROSS JOIN LATERAL unnest(m.endpoints) AS e (endpoint)
), reviews AS (
    INSERT INTO review (subject, attempt, reason, detail)
    SELECT m.id, r.attempt, r.reason, r.detail
      FROM moved m CROSS JOIN LATERAL json_to_record(m.more -> 'review') AS r (
           attempt text, reason text, detail text)
     WHERE r.attempt IS NOT NULL
    ON CONFLICT (subject, attempt, reason) DO UPDATE
       SET detail = EXCLUDED.detail, opened_at = now(), closed_at = NULL
     WHERE review.closed_at IS NOT NULL
--}
)
SELECT writer, version FROM moved
