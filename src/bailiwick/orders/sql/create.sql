-- Accept new orders of one kind, one row each: claim the key, write the order, its first event and,
-- when it is begun at once, the attempt whose commit is the permit to send.
-- Only the rows whose writer token comes back were written: a key that is taken (in this batch
-- or before), or a fenced node, leaves no trace.
-- Parts marked as seldom are left out for a batch in which no row needs them; what begins with @
-- the kind fills in (``OrderTable``).
-- $1: the rows, $2: the epoch.
WITH open_fence AS (
    SELECT node FROM fence WHERE fenced_at IS NULL AND epoch <= $2 FOR SHARE
), input AS MATERIALIZED (
    SELECT i.* FROM unnest($1::@table_create_row[]) AS i
), claimed AS (
    INSERT INTO idempotency_key (identity, merchant, livemode, key, request_hash, operation, object,
                                 subject, expand, writer, created_ms)
    SELECT i.identity, i.merchant, i.livemode, i.key, i.request_hash, i.operation, i.id, i.id,
           i.expand, i.writer, i.now_ms
      FROM input i CROSS JOIN open_fence
    ON CONFLICT DO NOTHING
    RETURNING writer
), won AS MATERIALIZED (
    SELECT i.* FROM input i JOIN claimed c ON c.writer = i.writer
), orders AS (
    INSERT INTO @table (id, merchant, livemode, version, content_seq, state, writer, epoch, amount,
                        currency, attempts, open_attempt, created_ms, updated_ms@first_columns)
    SELECT w.id, w.merchant, w.livemode, 1, 1, w.state, w.writer, w.epoch, w.amount,
           w.currency, CASE WHEN w.attempt_id IS NULL THEN 0 ELSE 1 END, w.attempt_id,
           w.now_ms, w.now_ms@first_values
      FROM won w
), attempts AS (
    INSERT INTO attempt (id, subject, number, merchant, livemode, operation, gateway, state,
                         amount, currency, epoch, writer, key, seq)
    SELECT w.attempt_id, w.id, 1, w.merchant, w.livemode, '@operation', w.gateway, 'permitted',
           w.amount, w.currency, w.epoch, w.writer, w.key, 1
      FROM won w WHERE w.attempt_id IS NOT NULL
@first_parts
), events AS (
    INSERT INTO event (id, subject, seq, merchant, livemode, type, body, content, instruction,
                       answer_key, answer_status, answer_version, writer, created_ms)
    SELECT w.event_id, w.id, 1, w.merchant, w.livemode, w.event_type, w.event_body, w.content,
           w.instruction, CASE WHEN w.answer_status IS NOT NULL THEN w.key END, w.answer_status,
           w.answer_version, w.writer, w.now_ms
      FROM won w
--{ seldom
@records
), deliveries AS (
    INSERT INTO delivery (event, endpoint, subject, seq)
    SELECT w.event_id, e.endpoint, w.id, 1
      FROM won w CROSS JOIN LATERAL unnest(w.endpoints) AS e (endpoint)
--}
)
SELECT writer FROM claimed
