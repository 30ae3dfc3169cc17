"""Charges of several requests: each request after the first was committed before it was sent, and
the provider was asked for each once."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from bailiwick.checker.books import Completion
from bailiwick.checker.findings import Found
from bailiwick.checker.reader import Reader

STEPS_MAX = 8
_KEY = re.compile(r"(.+)s([0-9]+)")
Stepped = dict[str, tuple[int, int]]
"""Of attempts, how many requests followed the first, and when the latest was permitted, in
milliseconds."""
_COUNT = "coalesce(json_array_length(e.instruction::json -> 'steps'), 0)"


async def steps_committed(db: Reader, found: Found) -> None:
    """Each request of a charge is an event of its own, with its instruction, and the attempt is at
    the latest of them (rule 1); there are at most eight behind the first."""
    await db.compare(found, "SELECT count(*) FROM attempt WHERE stepped_at IS NOT NULL")
    await db.broken(
        found,
        f"""SELECT s.id, s.steps || ' steps, ' || s.kept || ' instructions of it in events'
              FROM (SELECT a.id, {_COUNT} AS steps, (
                           SELECT count(*) FROM event i
                            WHERE i.subject = a.subject AND i.instruction IS NOT NULL
                              AND i.instruction::json ->> 'reference' = a.id) AS kept
                      FROM attempt a JOIN event e ON e.subject = a.subject AND e.seq = a.seq
                     WHERE a.stepped_at IS NOT NULL) s
             WHERE s.steps NOT BETWEEN 1 AND {STEPS_MAX} OR s.kept <> s.steps + 1
            UNION ALL
           SELECT a.id, 'has steps, and none was permitted'
             FROM attempt a JOIN event e ON e.subject = a.subject AND e.seq = a.seq
            WHERE a.stepped_at IS NULL AND e.instruction LIKE '%"steps":%' AND {_COUNT} > 0""",
    )


async def stepped(db: Reader) -> Stepped:
    """A node's attempts that took several requests."""
    rows = await db.rows(
        f"""SELECT a.id, {_COUNT}, (extract(epoch FROM a.stepped_at) * 1000)::bigint
              FROM attempt a JOIN event e ON e.subject = a.subject AND e.seq = a.seq
             WHERE a.stepped_at IS NOT NULL"""
    )
    return {row[0]: (row[1], row[2]) for row in rows}


def steps_match_books(
    completions: Iterable[Completion],
    known: Stepped,
    permitted: dict[str, int],
    taken_ms: int,
    skew_ms: int,
    found: Found,
    deleted: Callable[[str], bool] = lambda _: False,
) -> None:
    """No later request of a charge without an earlier commit of it (rule 1): each in the books is a
    step that one of our attempts has taken, permitted before the provider saw it; and none was
    carried out twice."""
    seen: set[tuple[str, str]] = set()
    for row in completions:
        if row.created >= taken_ms:
            continue  # younger than our snapshot
        found.compare()
        named = _KEY.fullmatch(row.reference)
        attempt, number = (row.reference, 0) if named is None else (named[1], int(named[2]) - 1)
        steps, since = known.get(attempt, (0, 0))
        if attempt not in permitted:
            if not deleted(attempt):
                found.broken("", row.reference, f"completed at {row.provider}: no such attempt")
        elif number < 1 or number > steps:
            found.broken("", row.reference, f"completed at {row.provider}: no such step")
        elif number == steps and row.created + skew_ms < since:
            early = since - row.created
            found.broken("", row.reference, f"completed {early} ms before it was permitted")
        if (row.provider, row.charge) in seen:
            found.broken("", row.reference, f"{row.charge} at {row.provider} was completed before")
        seen.add((row.provider, row.charge))
