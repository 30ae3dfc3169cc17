-- Accept new payments, one row each: claim the key, write the payment, its first event and, when
-- it is confirmed at once, the attempt whose commit is the permit to send.
-- Only the rows whose writer token comes back were written: a key that is taken (in this batch
-- or before), or a fenced node, leaves no trace.
-- Parts marked as seldom are left out for a batch in which no row needs them.
-- $1: the rows, $2: the epoch, $3: the events' bodies, beside the rows to be parsed once less.
WITH open_fence AS (
    SELECT node FROM fence WHERE fenced_at IS NULL AND epoch <= $2 FOR SHARE
), input AS MATERIALIZED (
    SELECT i.*, i.unnest AS event_body FROM ROWS FROM (json_to_recordset($1) AS (
        id text, merchant text, livemode boolean, key text, request_hash text, operation text,
        expand text, writer bigint, now_ms bigint, epoch bigint,
        state text, amount bigint, currency text, details json, progress json,
        attempt_id text, gateway text, instruction json, check_ms integer,
        event_id text, event_type text, endpoints json,
        answer_status smallint, answer_version text), unnest($3::text[])) AS i
), claimed AS (
    INSERT INTO idempotency_key (merchant, livemode, key, request_hash, operation, object, expand,
                                 writer, created_ms, answer_status, answer_event, answer_version)
    SELECT i.merchant, i.livemode, i.key, i.request_hash, i.operation, i.id, i.expand,
           i.writer, i.now_ms, i.answer_status,
           CASE WHEN i.answer_status IS NOT NULL THEN i.event_id END, i.answer_version
      FROM input i CROSS JOIN open_fence
    ON CONFLICT DO NOTHING
    RETURNING writer
), won AS MATERIALIZED (
    SELECT i.* FROM input i JOIN claimed c ON c.writer = i.writer
), payments AS (
    INSERT INTO payment (id, merchant, livemode, version, state, writer, epoch, amount, currency,
                         attempts, open_attempt, charge_attempt, created_ms, updated_ms, details,
                         progress)
    SELECT w.id, w.merchant, w.livemode, 1, w.state, w.writer, w.epoch, w.amount, w.currency,
           CASE WHEN w.attempt_id IS NULL THEN 0 ELSE 1 END, w.attempt_id, w.attempt_id,
           w.now_ms, w.now_ms, w.details, w.progress
      FROM won w
), attempts AS (
    INSERT INTO attempt (id, payment, number, merchant, livemode, operation, gateway, state,
                         amount, currency, epoch, writer, key, instruction, next_check_at)
    SELECT w.attempt_id, w.id, 1, w.merchant, w.livemode, 'charge', w.gateway, 'permitted',
           w.amount, w.currency, w.epoch, w.writer, w.key, w.instruction,
           clock_timestamp() + w.check_ms * interval '1 millisecond'
      FROM won w WHERE w.attempt_id IS NOT NULL
), events AS (
    INSERT INTO event (id, payment, seq, merchant, livemode, type, body, writer, created_ms)
    SELECT w.event_id, w.id, 1, w.merchant, w.livemode, w.event_type, w.event_body, w.writer,
           w.now_ms
      FROM won w
--{ seldom
), deliveries AS (
    INSERT INTO delivery (event, endpoint, payment, seq)
    SELECT w.event_id, e.endpoint, w.id, 1
      FROM won w CROSS JOIN LATERAL json_array_elements_text(w.endpoints) AS e (endpoint)
     WHERE w.endpoints IS NOT NULL
--}
)
SELECT writer FROM claimed
