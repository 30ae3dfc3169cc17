-- Delete what is kept of some subjects, orders or records, but themselves: keys with their answers, events,
-- postings, what is owed and was told to endpoints, attempts, and what stands beside orders.
-- $1: the subjects, $2: attempts of theirs, $3: the merchant.
WITH told AS MATERIALIZED (
    SELECT id, also, answer_key FROM event WHERE subject = ANY ($1::text[])
), named AS MATERIALIZED (  -- what is told beside an event has its id with a number
    SELECT concat_ws('_', t.id, nullif(n.number, 1)::text) AS id
      FROM told t CROSS JOIN LATERAL generate_series(
           1, 1 + coalesce(cardinality(string_to_array(t.also, ' ')), 0)) AS n (number)
), asked AS (
    SELECT answer_key AS key FROM told WHERE answer_key IS NOT NULL
     UNION
    SELECT key FROM attempt WHERE id = ANY ($2::text[]) AND key IS NOT NULL
), keys AS (
    DELETE FROM idempotency_key k USING asked
     WHERE k.identity = key_identity($3, false, asked.key) AND k.subject = ANY ($1::text[])
       AND NOT k.livemode
), deliveries AS (
    DELETE FROM delivery d USING named n WHERE d.event = n.id AND d.subject = ANY ($1::text[])
), tries AS (
    DELETE FROM delivery_try t USING named n WHERE t.event = n.id AND NOT t.livemode
), troubles AS (
    DELETE FROM relay_trouble r USING named n WHERE r.event = n.id
), personal AS (
    DELETE FROM personal_event WHERE subject = ANY ($1::text[])
), postings AS (
    DELETE FROM posting WHERE subject = ANY ($1::text[])
), reviews AS (
    DELETE FROM review WHERE subject = ANY ($1::text[])
), erasures AS (
    DELETE FROM erasure WHERE subject = ANY ($1::text[])
), refunds AS (
    DELETE FROM refund WHERE payment = ANY ($1::text[]) AND NOT livemode
), disputes AS (
    DELETE FROM dispute WHERE payment = ANY ($1::text[]) AND NOT livemode
), attempts AS (
    DELETE FROM attempt WHERE id = ANY ($2::text[]) AND subject = ANY ($1::text[]) AND NOT livemode
), objects AS (
    DELETE FROM known_object k USING attempt a
     WHERE k.attempt = ANY ($2::text[]) AND a.id = k.attempt AND a.subject = ANY ($1::text[]) AND NOT a.livemode
), contents AS (
    DELETE FROM file_content WHERE file = ANY ($1::text[])
)
DELETE FROM event WHERE subject = ANY ($1::text[]) AND NOT livemode
