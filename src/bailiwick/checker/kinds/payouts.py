"""Invariants about payouts inside one node's database: never over the balance, posted once, and a
story that can be."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from bailiwick.checker.findings import Found
from bailiwick.checker.reader import Reader

SLACK_MS = 60_000
"""Moments of decisions and of commits lie so far apart at most: where the order in time of two rows
is not certain, the check believes the program."""
_GIVEN_BACK = "('failed', 'canceled')"


async def payouts_within_balance(db: Reader, found: Found) -> None:
    """No payout was over the balance, nor over what its gateway held of it, when it was made: by
    the postings of payments until then, less the payouts before it."""
    await db.compare(found, "SELECT count(*) FROM payout")
    for gateway in ("", "AND {side} LIKE '%:' || p.gateway"):
        taken = "" if not gateway else "AND o.gateway = p.gateway"
        await db.broken(
            found,
            f"""SELECT p.id, p.amount || ' of ' || m.credit - m.debit - m.before
                  FROM payout p CROSS JOIN LATERAL (
                       SELECT (SELECT coalesce(sum(g.amount), 0) FROM posting g
                                 JOIN payment q ON q.id = g.subject
                                WHERE g.credit = 'merchant:' || p.merchant
                                  AND g.currency = p.currency AND q.livemode = p.livemode
                                  AND g.created_ms <= p.created_ms + {SLACK_MS}
                                  {gateway.format(side="g.debit")}) AS credit,
                              (SELECT coalesce(sum(g.amount), 0) FROM posting g
                                 JOIN payment q ON q.id = g.subject
                                WHERE g.debit = 'merchant:' || p.merchant
                                  AND g.currency = p.currency AND q.livemode = p.livemode
                                  AND g.created_ms <= p.created_ms - {SLACK_MS}
                                  {gateway.format(side="g.credit")}) AS debit,
                              (SELECT coalesce(sum(o.amount), 0) FROM payout o
                                WHERE o.merchant = p.merchant AND o.livemode = p.livemode
                                  AND o.currency = p.currency AND o.id < p.id
                                  AND o.state NOT IN {_GIVEN_BACK} {taken}) AS before) m
                 WHERE p.amount > m.credit - m.debit - m.before""",
        )


async def payouts_posted_once(db: Reader, found: Found) -> None:
    """A payout's postings say what its state says (rule 9): its amount left the balance once, is on
    its way until it is decided, and is back where it failed; what arrived late is booked apart."""
    await db.compare(found, "SELECT count(*) FROM payout")
    await db.broken(
        found,
        f"""SELECT p.id, p.state || ' of ' || p.amount || ': ' || coalesce(n.taken, 0)
                   || ' left the balance, ' || coalesce(n.going, 0) || ' on the way, '
                   || coalesce(n.late, 0) || ' late'
              FROM payout p LEFT JOIN attempt a ON a.subject = p.id AND a.number = 1 LEFT JOIN (
                   SELECT subject, sum(amount) FILTER (WHERE account LIKE 'merchant:%') AS taken,
                          -sum(amount) FILTER (WHERE account LIKE 'transit:%') AS going,
                          sum(amount) FILTER (WHERE account LIKE 'unexpected:%') AS late
                     FROM entry GROUP BY subject) n ON n.subject = p.id
             WHERE coalesce(n.taken, 0)
                   <> CASE WHEN p.state IN {_GIVEN_BACK} THEN 0 ELSE p.amount END
                OR coalesce(n.going, 0)
                   <> CASE WHEN p.state IN ('pending', 'in_transit') THEN p.amount ELSE 0 END
                OR coalesce(n.late, 0) <> CASE WHEN a.state = 'late' THEN p.amount ELSE 0 END""",
    )


async def payouts_follow_attempts(db: Reader, found: Found) -> None:
    """A payout is decided as its attempt is (rule 1), with the same amount; it names the attempt
    that is open, which sends it or calls it back."""
    await db.compare(found, "SELECT count(*) FROM payout")
    await db.broken(
        found,
        f"""SELECT p.id, p.state || ' of ' || p.amount || ' ' || p.currency || ', its attempt '
                   || coalesce(a.state || ' of ' || a.amount || ' ' || a.currency, 'missing')
              FROM payout p LEFT JOIN attempt a ON a.subject = p.id AND a.number = 1
             WHERE a.id IS NULL OR a.operation <> 'payout' OR a.gateway <> p.gateway
                OR (a.amount, a.currency) <> (p.amount, p.currency)
                OR NOT CASE WHEN a.state = 'approved' THEN p.state = 'paid'
                            WHEN a.state IN ('declined', 'unsent', 'late')
                            THEN p.state IN {_GIVEN_BACK}
                            ELSE p.state IN ('pending', 'in_transit') END""",
    )
    await db.broken(
        found,
        """SELECT p.id, 'open_attempt is ' || coalesce(p.open_attempt, 'none') || ', that is '
                  || coalesce(a.state, 'missing')
             FROM payout p LEFT JOIN attempt a ON a.id = p.open_attempt AND a.subject = p.id
            WHERE CASE WHEN p.open_attempt IS NULL
                       THEN EXISTS (SELECT FROM attempt o WHERE o.subject = p.id
                                       AND o.state IN ('permitted', 'pending', 'unknown'))
                       ELSE coalesce(a.state, '') NOT IN ('permitted', 'pending', 'unknown') END
            UNION ALL
           SELECT a.subject, a.id || ' calls back, and the payout does not know it'
             FROM attempt a JOIN payout p ON p.id = a.subject
            WHERE a.operation = 'payout_cancel' AND a.state IN ('permitted', 'pending', 'unknown')
              AND p.open_attempt IS DISTINCT FROM a.id""",
    )


_MOVES = """(VALUES ('pending', 'in_transit'), ('pending', 'paid'), ('pending', 'failed'),
             ('pending', 'canceled'), ('in_transit', 'paid'), ('in_transit', 'failed'),
             ('in_transit', 'canceled'), ('paid', 'failed'))"""


async def payouts_told(db: Reader, found: Found) -> None:
    """A payout's events tell a life that can be (rule 3), in Stripe's words; it stands as its last
    event shows it (rule 1)."""
    await db.compare(found, "SELECT count(*) FROM payout")
    await db.broken(
        found,
        f"""SELECT t.subject, 'version ' || t.seq || ': ' || t.type || ' from '
                   || coalesce(t.before, 'nothing') || ' to ' || t.status
              FROM (SELECT e.subject, e.seq, e.type, e.body::json ->> 'status' AS status,
                           lag(e.body::json ->> 'status')
                           OVER (PARTITION BY e.subject ORDER BY e.seq) AS before
                      FROM event e WHERE e.subject ^@ 'po_') t
             WHERE CASE WHEN t.seq = 1 THEN (t.type, t.status) <> ('payout.created', 'pending')
                        WHEN t.status = t.before THEN t.type <> 'payout.updated'
                        ELSE t.type <> CASE WHEN t.status IN ('paid', 'failed', 'canceled')
                                            THEN 'payout.' || t.status ELSE 'payout.updated' END
                             OR NOT EXISTS (SELECT FROM {_MOVES} AS m (a, b)
                                             WHERE (m.a, m.b) = (t.before, t.status)) END""",
    )
    await db.broken(
        found,
        """SELECT p.id, p.state || ' of ' || p.amount || ', its last event says '
                  || coalesce(e.body::json ->> 'status', '?') || ' of '
                  || coalesce(e.body::json ->> 'amount', '?')
             FROM payout p LEFT JOIN event e ON e.subject = p.id AND e.seq = p.version
            WHERE (e.body::json ->> 'id', e.body::json ->> 'status', e.body::json ->> 'amount',
                   e.body::json ->> 'currency') IS DISTINCT FROM
                  (p.id, p.state, p.amount::text, lower(p.currency))""",
    )


PAYOUTS: tuple[Callable[[Reader, Found], Awaitable[None]], ...] = (
    payouts_within_balance,
    payouts_posted_once,
    payouts_follow_attempts,
    payouts_told,
)
