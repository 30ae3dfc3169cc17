"""What may be told beside the event of a payment's move."""

from __future__ import annotations

from bailiwick.checker.findings import Found
from bailiwick.checker.reader import Reader

BESIDE: dict[str, frozenset[str]] = {
    "payment_intent.succeeded": frozenset(
        {"charge.succeeded", "charge.captured", "charge.updated"}
    ),
    "payment_intent.amount_capturable_updated": frozenset(
        {"charge.succeeded", "charge.captured", "charge.updated"}
    ),
    "payment_intent.payment_failed": frozenset({"charge.failed"}),
    "payment_intent.processing": frozenset({"charge.failed", "charge.pending"}),
    "payment_intent.canceled": frozenset({"charge.failed", "charge.expired"}),
    "refund.updated": frozenset({"charge.refunded", "charge.refund.updated"}),
    "refund.failed": frozenset({"charge.refund.updated"}),
}
"""By the event of a move; written down from the published life of a charge, not from the
program."""


async def told_with_their_move(db: Reader, found: Found) -> None:
    """What is told of a charge goes with the move that it is about, a charge succeeds once, and as
    many have failed as are told to have."""
    await db.compare(found, "SELECT count(*) FROM event WHERE also IS NOT NULL")
    allowed = ", ".join(
        f"('{event}', '{name}')" for event, names in BESIDE.items() for name in sorted(names)
    )
    await db.broken(
        found,
        f"""SELECT e.id, coalesce(t.name, '') || ' is told with ' || e.type
              FROM event e CROSS JOIN LATERAL unnest(string_to_array(e.also, ' ')) AS t (name)
             WHERE (e.type, t.name) NOT IN (VALUES {allowed})""",
    )
    await db.broken(
        found,
        """SELECT e.subject, e.succeeded || ' charges succeeded and ' || e.failed
                  || ' failed, with ' || a.approved || ' approved and ' || a.ended || ' ended'
             FROM (SELECT subject,
                          count(*) FILTER (WHERE n.name = 'charge.succeeded') AS succeeded,
                          count(*) FILTER (WHERE n.name = 'charge.failed') AS failed
                     FROM event CROSS JOIN LATERAL unnest(string_to_array(also, ' ')) AS n (name)
                    GROUP BY subject) e
            CROSS JOIN LATERAL (
                  SELECT count(*) FILTER (WHERE state = 'approved') AS approved,
                         count(*) FILTER (WHERE state IN ('declined', 'unsent', 'late')) AS ended
                    FROM attempt a WHERE a.subject = e.subject AND a.operation = 'charge') a
            WHERE e.succeeded > a.approved OR e.failed > a.ended""",
    )


TOLD = (told_with_their_move,)
