-- Move payments from one version to the next: one guarded write each, and everything that
-- follows from it (key, attempts, refund, postings, event, deliveries, answer, review) selected
-- from that write's RETURNING. A row whose guard fails, whose key is taken, or whose node is
-- fenced, leaves no trace; the writer tokens that come back tell which rows moved.
-- The caller sends at most one row per payment, sorted by id. Parts marked as seldom are left
-- out for a batch in which no row needs them: each costs, used or not.
-- $1: the rows, $2: the epoch, $3: the events' bodies.
WITH open_fence AS (
    SELECT node FROM fence WHERE fenced_at IS NULL AND epoch <= $2 FOR SHARE
), input AS MATERIALIZED (
    SELECT i.*, i.unnest AS event_body FROM ROWS FROM (json_to_recordset($1) AS (
        id text, expected_version integer, expected_state text, writer bigint, now_ms bigint,
        state text, amount bigint, amount_capturable bigint, amount_received bigint,
        amount_refunding bigint, amount_refunded bigint, attempts integer, open_attempt text,
        charge_attempt text, progress json,
        claim json, attempt_ends json, attempt_new json, refund_new json, refund_end json,
        postings json, event_id text, event_type text, endpoints json,
        answer_key text, answer_status smallint, answer_body text, answer_version text,
        review json), unnest($3::text[])) AS i
), locked AS MATERIALIZED (
    SELECT i.*, p.merchant, p.livemode
      FROM open_fence CROSS JOIN input i JOIN payment p ON p.id = i.id
     WHERE p.version = i.expected_version AND p.state = i.expected_state
     ORDER BY p.id
       FOR NO KEY UPDATE OF p
--{ seldom
), claimed AS (
    INSERT INTO idempotency_key (merchant, livemode, key, request_hash, operation, object, expand,
                                 writer, created_ms, answer_status, answer_body, answer_event,
                                 answer_version)
    SELECT l.merchant, l.livemode, c.key, c.request_hash, c.operation, c.object, c.expand,
           l.writer, l.now_ms, l.answer_status, l.answer_body,
           CASE WHEN l.answer_status IS NOT NULL THEN l.event_id END, l.answer_version
      FROM locked l CROSS JOIN LATERAL json_to_record(l.claim) AS c (
           key text, request_hash text, operation text, object text, expand text)
     WHERE l.claim IS NOT NULL
    ON CONFLICT DO NOTHING
    RETURNING writer
--}
), moved AS (
    UPDATE payment p
       SET version = p.version + 1, state = l.state, writer = l.writer, updated_ms = l.now_ms,
           amount = l.amount, amount_capturable = l.amount_capturable,
           amount_received = l.amount_received, amount_refunding = l.amount_refunding,
           amount_refunded = l.amount_refunded, attempts = l.attempts,
           open_attempt = l.open_attempt, charge_attempt = l.charge_attempt, progress = l.progress
      FROM locked l
     WHERE p.id = l.id AND p.version = l.expected_version AND p.state = l.expected_state
--{ seldom
       AND (l.claim IS NULL OR EXISTS (SELECT FROM claimed c WHERE c.writer = l.writer))
--}
    RETURNING p.id, p.version, p.merchant, p.livemode, p.currency, p.epoch, p.writer, l.now_ms,
              l.claim, l.attempt_ends, l.attempt_new, l.refund_new, l.refund_end, l.postings,
              l.event_id, l.event_type, l.event_body, l.endpoints, l.answer_key,
              l.answer_status, l.answer_body, l.answer_version, l.review
), ends AS (
    UPDATE attempt a
       SET state = e.state, provider_ref = coalesce(e.provider_ref, a.provider_ref),
           result = e.result,
           next_check_at = clock_timestamp() + e.check_ms * interval '1 millisecond'
      FROM moved m CROSS JOIN LATERAL json_to_recordset(m.attempt_ends) AS e (
           id text, state text, provider_ref text, result json, check_ms integer)
     WHERE m.attempt_ends IS NOT NULL AND a.id = e.id
--{ seldom
), begun AS (
    INSERT INTO attempt (id, payment, number, refund, merchant, livemode, operation, gateway,
                         state, amount, currency, epoch, writer, key, instruction, next_check_at)
    SELECT n.id, m.id, n.number, n.refund, m.merchant, m.livemode, n.operation, n.gateway,
           'permitted', n.amount, m.currency, n.epoch, m.writer, n.key, n.instruction,
           clock_timestamp() + n.check_ms * interval '1 millisecond'
      FROM moved m CROSS JOIN LATERAL json_to_record(m.attempt_new) AS n (
           id text, number integer, refund text, operation text, gateway text, amount bigint,
           epoch bigint, key text, instruction json, check_ms integer)
     WHERE m.attempt_new IS NOT NULL
), refunds_begun AS (
    INSERT INTO refund (id, payment, merchant, livemode, state, amount, currency, attempt,
                        created_ms, details)
    SELECT r.id, m.id, m.merchant, m.livemode, r.state, r.amount, m.currency, r.attempt,
           m.now_ms, r.details
      FROM moved m CROSS JOIN LATERAL json_to_record(m.refund_new) AS r (
           id text, state text, amount bigint, attempt text, details json)
     WHERE m.refund_new IS NOT NULL
), refunds_ended AS (
    UPDATE refund f SET state = r.state, details = r.details
      FROM moved m CROSS JOIN LATERAL json_to_record(m.refund_end) AS r (
           id text, state text, details json)
     WHERE m.refund_end IS NOT NULL AND f.id = r.id
--}
), posted AS (
    INSERT INTO posting (payment, seq, leg, account, amount, currency, created_ms)
    SELECT m.id, m.version, g.leg, g.account, g.amount, m.currency, m.now_ms
      FROM moved m CROSS JOIN LATERAL json_to_recordset(m.postings) AS g (
           leg smallint, account text, amount bigint)
     WHERE m.postings IS NOT NULL
), events AS (
    INSERT INTO event (id, payment, seq, merchant, livemode, type, body, writer, created_ms)
    SELECT m.event_id, m.id, m.version, m.merchant, m.livemode, m.event_type, m.event_body,
           m.writer, m.now_ms
      FROM moved m
--{ seldom
), deliveries AS (
    INSERT INTO delivery (event, endpoint, payment, seq)
    SELECT m.event_id, e.endpoint, m.id, m.version
      FROM moved m CROSS JOIN LATERAL json_array_elements_text(m.endpoints) AS e (endpoint)
     WHERE m.endpoints IS NOT NULL
--}
), answered AS (
    UPDATE idempotency_key k
       SET answer_status = m.answer_status, answer_body = m.answer_body,
           answer_event = m.event_id, answer_version = m.answer_version
      FROM moved m
     WHERE m.claim IS NULL AND m.answer_key IS NOT NULL
       AND k.merchant = m.merchant AND k.livemode = m.livemode AND k.key = m.answer_key
       AND k.answer_status IS NULL
--{ seldom
), reviews AS (
    INSERT INTO review (payment, attempt, reason, detail)
    SELECT m.id, r.attempt, r.reason, r.detail
      FROM moved m CROSS JOIN LATERAL json_to_record(m.review) AS r (
           attempt text, reason text, detail text)
     WHERE m.review IS NOT NULL
    ON CONFLICT (payment, attempt, reason) DO UPDATE
       SET detail = EXCLUDED.detail, opened_at = now(), closed_at = NULL
     WHERE review.closed_at IS NOT NULL
--}
)
SELECT writer, version FROM moved
