"""Invariants inside one node's database, each one set-based query.

A posting moves its amount to the debited account from the credited one; the view ``entry``
holds both sides, the debit positive. ``merchant:<id>`` is what is owed to the merchant,
``unexpected:<id>`` what came for a payment that had ended without, ``receivable:<gateway>`` what
the provider holds.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from bailiwick.checker.findings import Found
from bailiwick.checker.reader import Reader

Invariant = Callable[[Reader, Found], Awaitable[None]]
_ORDERS = """(SELECT id, merchant, livemode, currency, version, content_seq, attempts FROM payment
              UNION ALL
              SELECT id, merchant, livemode, currency, version, content_seq, attempts
                FROM payout
              UNION ALL
              SELECT id, merchant, livemode, currency, version, content_seq, attempts
                FROM setup)"""


async def postings_balance(db: Reader, found: Found) -> None:
    """Postings sum to zero per payment, version and currency (rule 9): each moves a positive
    amount between two accounts that exist, in the payment's currency, for a version that
    happened."""
    await db.compare(found, "SELECT count(*) FROM posting")
    await db.broken(
        found,
        f"""SELECT g.subject, 'posting ' || g.number || ' of version ' || g.seq || ': ' || CASE
                  WHEN g.amount <= 0 OR g.debit = g.credit THEN 'it moves nothing'
                  WHEN g.currency <> p.currency THEN 'currency ' || g.currency
                  WHEN g.seq > p.version THEN 'a version that never was'
                  ELSE 'accounts ' || g.debit || ' and ' || g.credit END
             FROM posting g JOIN {_ORDERS} p ON p.id = g.subject
            WHERE g.amount <= 0 OR g.debit = g.credit
               OR g.currency <> p.currency OR g.seq > p.version
               OR EXISTS (SELECT FROM unnest(ARRAY[g.debit, g.credit]) AS a (account)
                           WHERE account NOT IN ('merchant:' || p.merchant,
                                                 'unexpected:' || p.merchant)
                             AND account NOT LIKE 'receivable:_%'
                             AND account NOT LIKE 'transit:_%')""",
    )


async def balances_replay(db: Reader, found: Found) -> None:
    """Balances equal replay: what the merchant is owed by the postings is amount_received less
    amount_refunded and what disputes have withdrawn, and unexpected receipts equal the late
    successes (rule 2)."""
    await db.compare(found, "SELECT count(*) FROM payment")
    await db.broken(
        found,
        """SELECT p.id, 'postings owe the merchant ' || coalesce(g.owed, 0) || ', the payment says '
                  || p.amount_received - p.amount_refunded - coalesce(d.gone, 0)
             FROM payment p LEFT JOIN (
                  SELECT subject, -sum(amount) AS owed FROM entry
                   WHERE account LIKE 'merchant:%' GROUP BY subject) g ON g.subject = p.id
             LEFT JOIN (
                  SELECT payment, sum(amount + fee) AS gone FROM dispute
                   WHERE funds = 'withdrawn' GROUP BY payment) d ON d.payment = p.id
            WHERE coalesce(g.owed, 0)
                  <> p.amount_received - p.amount_refunded - coalesce(d.gone, 0)""",
    )
    await db.broken(
        found,
        """SELECT coalesce(g.subject, a.subject), 'unexpected receipts are '
                  || coalesce(g.booked, 0) || ', late successes ' || coalesce(a.late, 0)
             FROM (SELECT subject, -sum(amount) AS booked FROM entry
                    WHERE account LIKE 'unexpected:%' AND subject ^@ 'pi_' GROUP BY subject) g
             FULL JOIN (
                  SELECT l.subject, sum((l.result::json ->> 'amount')::bigint) AS late
                    FROM attempt l
                   WHERE l.state = 'late' AND l.subject ^@ 'pi_' AND EXISTS (
                         SELECT FROM review r WHERE r.subject = l.subject AND r.attempt = l.id
                            AND r.reason = 'late_success')
                   GROUP BY l.subject) a ON a.subject = g.subject
            WHERE coalesce(g.booked, 0) <> coalesce(a.late, 0)""",
    )


async def refund_guards(db: Reader, found: Found) -> None:
    """The guard columns tell the truth (rule 4): amount_refunding is the sum of pending refunds,
    amount_refunded of succeeded ones, and both together never exceed what was received."""
    await db.compare(found, "SELECT count(*) FROM payment")
    await db.broken(
        found,
        """SELECT p.id, 'refunding ' || p.amount_refunding || ' with pending ' ||
                  coalesce(r.pending, 0) || ', refunded ' || p.amount_refunded ||
                  ' with succeeded ' || coalesce(r.done, 0) || ', received ' || p.amount_received
             FROM payment p LEFT JOIN (
                  SELECT payment, sum(amount) FILTER (WHERE state = 'pending') AS pending,
                         sum(amount) FILTER (WHERE state = 'succeeded') AS done
                    FROM refund GROUP BY payment) r ON r.payment = p.id
            WHERE p.amount_refunding <> coalesce(r.pending, 0)
               OR p.amount_refunded <> coalesce(r.done, 0)
               OR p.amount_refunding + p.amount_refunded > p.amount_received""",
    )


async def refunds_follow_attempts(db: Reader, found: Found) -> None:
    """A refund ends as its attempt does (rule 1), with the same amount and currency."""
    await db.compare(found, "SELECT count(*) FROM refund")
    await db.broken(
        found,
        """SELECT r.id, 'refund ' || r.state || ' of ' || r.amount || ' ' || r.currency ||
                  ', attempt ' || coalesce(a.state || ' of ' || a.amount || ' ' || a.currency,
                                           'missing')
             FROM refund r LEFT JOIN attempt a ON a.id = r.attempt AND a.acts_on = r.id
            WHERE a.id IS NULL OR a.amount <> r.amount OR a.currency <> r.currency
               OR a.operation <> 'refund' OR r.state IS DISTINCT FROM CASE
                  WHEN a.state = 'approved' THEN 'succeeded'
                  WHEN a.state IN ('declined', 'unsent', 'late') THEN 'failed'
                  ELSE 'pending' END""",
    )


async def captures_within_hold(db: Reader, found: Found) -> None:
    """All captures of a hold together take no more than was authorized, and as much above as its
    provider was asked to allow; and they are what was received."""
    await db.compare(found, "SELECT count(*) FROM payment")
    await db.broken(
        found,
        """SELECT p.id, 'captured ' || c.taken || ' of ' || h.held || ' and ' || h.over || ' %'
             FROM payment p JOIN (
                  SELECT subject, sum((result::json ->> 'amount')::bigint) AS taken FROM attempt
                   WHERE operation = 'capture' AND state = 'approved' GROUP BY subject) c
                  ON c.subject = p.id JOIN (
                  SELECT a.id, greatest((a.result::json ->> 'amount')::bigint, (
                         SELECT max((n.result::json ->> 'amount')::bigint) FROM attempt n
                          WHERE n.subject = a.subject AND n.operation = 'increment'
                            AND n.state = 'approved')) AS held, a.subject, a.seq,
                         coalesce((e.content::json #>> '{progress,hold,over_percent}')::integer, 0)
                         AS over
                    FROM attempt a JOIN payment q ON q.id = a.subject
                    JOIN event e ON e.subject = q.id AND e.seq = q.content_seq) h
                  ON h.id = p.charge_attempt
            WHERE c.taken > h.held + h.held * h.over / 100""",
    )
    await db.broken(
        found,
        """SELECT p.id, 'received ' || p.amount_received || ', captures took ' || c.taken
             FROM payment p JOIN (
                  SELECT subject, sum((result::json ->> 'amount')::bigint) AS taken FROM attempt
                   WHERE operation = 'capture' AND state = 'approved' GROUP BY subject) c
                  ON c.subject = p.id
            WHERE c.taken <> p.amount_received""",
    )


async def increments_are_held(db: Reader, found: Found) -> None:
    """A payment whose hold was increased is of the amount that its latest increment was granted;
    each is more than the one before, and there are at most ten, declined ones included."""
    await db.compare(found, "SELECT count(*) FROM payment")
    await db.broken(
        found,
        """SELECT p.id, 'is of ' || p.amount || ', the latest increment granted ' || g.held
             FROM payment p JOIN LATERAL (
                  SELECT (result::json ->> 'amount')::bigint AS held FROM attempt
                   WHERE subject = p.id AND operation = 'increment' AND state = 'approved'
                   ORDER BY number DESC LIMIT 1) g ON true
            WHERE p.amount <> g.held""",
    )
    await db.broken(
        found,
        """SELECT i.id, 'granted ' || i.held || ' after ' || i.before
             FROM (SELECT a.id, (a.result::json ->> 'amount')::bigint AS held,
                          lag((a.result::json ->> 'amount')::bigint)
                          OVER (PARTITION BY a.subject ORDER BY a.number) AS before
                     FROM attempt a JOIN payment p ON p.id = a.subject
                    WHERE a.state = 'approved'
                      AND (a.operation = 'increment' OR a.id = p.charge_attempt)) i
            WHERE i.held <= i.before""",
    )
    await db.broken(
        found,
        """SELECT subject, count(*) || ' increments' FROM attempt
            WHERE operation = 'increment' GROUP BY subject HAVING count(*) > 10""",
    )


async def one_operation_at_a_time(db: Reader, found: Found) -> None:
    """No attempt N+1 while N is unknown (rule 2): at most one charge or capture, and one void,
    is open per payment; the payment names it, and an earlier charge is never the open one."""
    await db.compare(
        found,
        "SELECT count(*) FROM attempt WHERE acts_on IS NULL",
    )
    await db.broken(
        found,
        """SELECT subject, string_agg(id || ' ' || operation || ' ' || state, ', ' ORDER BY number)
             FROM attempt
            WHERE state IN ('permitted', 'pending', 'unknown') AND acts_on IS NULL
            GROUP BY subject
           HAVING count(*) FILTER (WHERE operation NOT IN ('void', 'payout_cancel')) > 1
               OR count(*) FILTER (WHERE operation IN ('void', 'payout_cancel')) > 1
               OR count(*) FILTER (WHERE operation NOT IN ('charge', 'payout')) > 1""",
    )
    await db.broken(
        found,
        """SELECT o.id, 'open, while attempt ' || n.number || ' (' || n.operation || ') followed'
             FROM attempt o JOIN attempt n ON n.subject = o.subject AND n.number > o.number
            WHERE o.state IN ('permitted', 'pending', 'unknown') AND o.acts_on IS NULL
              AND n.operation IN ('charge', 'increment', 'capture')""",
    )
    await db.broken(
        found,
        """SELECT p.id, 'open_attempt is ' || coalesce(p.open_attempt, 'none')
                  || ' in state ' || p.state || ', that attempt is ' || coalesce(a.state, 'missing')
             FROM payment p LEFT JOIN attempt a ON a.id = p.open_attempt AND a.subject = p.id
            WHERE CASE WHEN p.open_attempt IS NULL
                       THEN p.state IN ('processing', 'requires_action', 'incrementing',
                                        'capturing', 'voiding')
                       ELSE a.state IS NULL OR a.state NOT IN ('permitted', 'pending', 'unknown')
                            OR a.acts_on IS NOT NULL END""",
    )
    await _open_ones_named(db, found)


async def _open_ones_named(db: Reader, found: Found) -> None:
    await db.broken(
        found,
        """SELECT a.id, a.operation || ' is ' || a.state || ', the payment''s open attempt is '
                  || coalesce(p.open_attempt, 'none')
             FROM attempt a JOIN payment p ON p.id = a.subject
                  LEFT JOIN attempt o ON o.id = p.open_attempt
            WHERE a.state IN ('permitted', 'pending', 'unknown') AND a.acts_on IS NULL
              AND p.open_attempt IS DISTINCT FROM a.id
              AND NOT (a.operation = 'charge' AND a.id = p.charge_attempt
                       AND o.operation IS NOT DISTINCT FROM 'void')""",
    )


async def attempts_complete(db: Reader, found: Found) -> None:
    """An attempt is never lost or repeated: a payment's are numbered from 1 without a gap."""
    await db.compare(found, "SELECT count(*) FROM payment")
    await db.broken(
        found,
        f"""SELECT p.id, 'says ' || p.attempts || ' attempts, there are ' || coalesce(a.n, 0)
                  || coalesce(', the last is ' || a.last, '')
             FROM {_ORDERS} p LEFT JOIN (
                  SELECT subject, count(*) AS n, max(number) AS last FROM attempt GROUP BY subject
                  ) a ON a.subject = p.id
            WHERE p.attempts <> coalesce(a.n, 0) OR p.attempts <> coalesce(a.last, 0)""",
    )


async def events_gap_free(db: Reader, found: Found) -> None:
    """A payment's version is its event sequence (rule 3): events 1 to version, without a gap."""
    await db.compare(found, "SELECT count(*) FROM event")
    await db.broken(
        found,
        f"""SELECT p.id, 'version ' || p.version || ' with ' || coalesce(e.n, 0) || ' events'
                  || coalesce(' from ' || e.first || ' to ' || e.last, '')
             FROM {_ORDERS} p LEFT JOIN (
                  SELECT subject, count(*) AS n, min(seq) AS first, max(seq) AS last
                    FROM event GROUP BY subject) e ON e.subject = p.id
            WHERE e.n IS DISTINCT FROM p.version OR e.first <> 1 OR e.last <> p.version""",
    )
    await db.broken(
        found,
        f"""SELECT p.id, 'event ' || p.content_seq || ' should hold its content'
             FROM {_ORDERS} p LEFT JOIN event e ON e.subject = p.id AND e.seq = p.content_seq
            WHERE e.content IS NULL
            UNION ALL
           SELECT a.subject, 'event ' || a.seq || ' should hold the instruction of ' || a.id
             FROM attempt a LEFT JOIN event e ON e.subject = a.subject AND e.seq = a.seq
            WHERE e.instruction IS NULL""",
    )


_CHILDREN = (
    ("attempt", "id", True),
    ("refund", "id", True),
    ("dispute", "id", True),
    ("event", "id", True),
    ("posting", "subject || ' posting ' || c.seq || '.' || c.number", False),
    ("review", "subject || ' review ' || c.attempt", False),
    ("delivery", "event || ' to ' || c.endpoint", False),
)


_OWNERS = """(SELECT id, merchant, livemode FROM payment
              UNION ALL SELECT id, merchant, livemode FROM payout
              UNION ALL SELECT id, merchant, livemode FROM record
              UNION ALL SELECT id, merchant, livemode FROM setup)"""


async def tenants_match(db: Reader, found: Found) -> None:
    """Every row's tenant is its parent's, and no child is without its parent (there are no
    foreign keys on the hot tables)."""
    for table, name, owned in _CHILDREN:
        of = "payment" if table in ("refund", "dispute") else "subject"
        wrong_owner = "OR c.merchant <> p.merchant OR c.livemode <> p.livemode" if owned else ""
        told = "'merchant ' || c.merchant || ', the parent''s '" if owned else "'?'"
        await db.compare(found, f"SELECT count(*) FROM {table}")
        await db.broken(
            found,
            f"""SELECT c.{name}, '{table}: ' || CASE WHEN p.id IS NULL THEN 'no parent '
                       || c.{of} ELSE {told} || p.merchant END
                  FROM {table} c LEFT JOIN {_OWNERS} p ON p.id = c.{of}
                 WHERE p.id IS NULL {wrong_owner}""",
        )
    await db.broken(
        found,
        """SELECT d.event || ' to ' || d.endpoint, 'delivery: ' || CASE WHEN e.id IS NULL
                  THEN 'no event' ELSE 'endpoint of merchant ' || w.merchant END
             FROM delivery d LEFT JOIN event e ON e.subject = d.subject AND e.seq = d.seq
                  AND (e.id = d.event OR d.event ^@ (e.id || '_')
                       AND (string_to_array(e.also, ' '))
                           [substr(d.event, length(e.id) + 2)::integer - 1] IS NOT NULL)
                  LEFT JOIN webhook_endpoint w ON w.id = d.endpoint
            WHERE e.id IS NULL OR w.merchant <> e.merchant OR w.livemode <> e.livemode""",
    )
    await db.broken(
        found,
        f"""SELECT k.key, 'key of ' || k.merchant || ' acts on ' || k.object
             FROM idempotency_key k LEFT JOIN {_OWNERS} p ON p.id = k.object
                  LEFT JOIN refund r ON r.id = k.object
                  LEFT JOIN attempt a ON a.id = k.object
                  LEFT JOIN dispute d ON d.id = k.object
            WHERE k.object IS NOT NULL
              AND (k.merchant, k.livemode) IS DISTINCT FROM
                  (coalesce(p.merchant, r.merchant, a.merchant, d.merchant),
                   coalesce(p.livemode, r.livemode, a.livemode, d.livemode))""",
    )


async def keys_claimed(db: Reader, found: Found) -> None:
    """A key is claimed in the same commit as its effect (rule 4): an attempt's key has a row that
    names its payment or refund, and a refused key (rule 5) has no attempt. Its identity is of this
    very key: else a second row could claim it."""
    await db.compare(found, "SELECT count(*) FROM attempt WHERE key IS NOT NULL")
    await db.broken(
        found,
        f"""SELECT a.id, 'key ' || a.key || ': ' || CASE
                  WHEN k.identity IS NULL THEN 'never claimed'
                  WHEN k.refused IS NOT NULL THEN 'refused here (' || k.refused || ')'
                  ELSE 'claimed for ' || coalesce(k.object, 'nothing') END
             FROM attempt a JOIN {_ORDERS} p ON p.id = a.subject LEFT JOIN idempotency_key k
                  ON k.identity = {_identity("p.merchant", "p.livemode", "a.key")}
            WHERE a.key IS NOT NULL AND (k.identity IS NULL OR k.refused IS NOT NULL
                  OR k.object IS NULL OR k.object NOT IN (a.subject, coalesce(a.acts_on, '')))""",
    )
    await db.compare(found, "SELECT count(*) FROM idempotency_key")
    await db.broken(
        found,
        f"""SELECT coalesce(key, identity::text), CASE WHEN key IS NULL THEN 'claimed without a key'
                   ELSE 'its identity is not of this key' END
              FROM idempotency_key
             WHERE identity <> {_identity("merchant", "livemode", "key")}
                OR (key IS NULL AND refused IS NULL)""",
    )


def _identity(merchant: str, livemode: str, key: str) -> str:
    """SQL for a key's identity; written again here, since what wrote the rows may be wrong."""
    mode = f"CASE WHEN {livemode} THEN 'live' ELSE 'test' END"
    text = f"{merchant} || E'\\n' || {mode} || E'\\n' || {key}"
    return f"left(encode(sha256(convert_to({text}, 'UTF8')), 'hex'), 32)::uuid"


async def deliveries_done_or_due(db: Reader, found: Found) -> None:
    """What is owed to a webhook endpoint is never forgotten: each delivery has ended or is due,
    and none has ended while an earlier one of the same payment is still owed."""
    await db.compare(found, "SELECT count(*) FROM delivery")
    await db.broken(
        found,
        "SELECT event || ' to ' || endpoint, 'neither done nor due'"
        " FROM delivery WHERE next_at IS NULL AND done_at IS NULL",
    )
    await db.broken(
        found,
        """SELECT event || ' to ' || endpoint, 'done before version ' || owed FROM (
                  SELECT d.*, min(seq) FILTER (WHERE next_at IS NOT NULL)
                              OVER (PARTITION BY subject, endpoint) AS owed FROM delivery d) d
            WHERE done_at IS NOT NULL AND seq > owed""",
    )


INSIDE: tuple[Invariant, ...] = (
    postings_balance,
    balances_replay,
    refund_guards,
    refunds_follow_attempts,
    captures_within_hold,
    increments_are_held,
    one_operation_at_a_time,
    attempts_complete,
    events_gap_free,
    tenants_match,
    keys_claimed,
    deliveries_done_or_due,
)
