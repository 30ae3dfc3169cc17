"""One run of the checker: read everything, ask every invariant, wait for what is still open."""

from __future__ import annotations

import asyncio
import subprocess
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import msgspec

from bailiwick.checker import across, books, inside, outside, providers, stories, tables
from bailiwick.checker.across import OpenAttempt, OpenReview
from bailiwick.checker.findings import Findings
from bailiwick.checker.kinds import (
    disputes,
    erasures,
    files,
    payouts,
    records,
    steps,
    test_data,
    told,
)
from bailiwick.checker.places import NodePlace, Places
from bailiwick.checker.reader import Reader, snapshot

_POLL_S = 0.5


class Wanted(msgspec.Struct, frozen=True):
    """What to check and how.

    ``wait_s``: how long open attempts may take to end; None asks for no such thing.
    ``skew_ms``: how far the clocks of providers and databases may be apart.
    """

    places: Places
    wait_s: float | None = None
    sink: Path | None = None
    history: Path | None = None
    seed: str | None = None
    reviews_max_share: float | None = None
    skew_ms: int = 5_000


class Verdict(msgspec.Struct, frozen=True):
    """The result of a run."""

    payments: int
    attempts: int
    reviews: int
    findings: Findings
    open_attempts: list[OpenAttempt]
    open_reviews: list[OpenReview]
    not_in_books: int
    seconds: float

    @property
    def violations(self) -> int:
        """How many there are."""
        return sum(found.count for found in self.findings.all())


async def check(wanted: Wanted) -> Verdict:
    """Check until nothing is wrong or the waiting time is over.

    A late change at a provider may need a callback's time to reach us, so a violation counts
    only at the end. Raises PlaceError.
    """
    deadline = time.monotonic() + (wanted.wait_s or 0)
    while True:
        await _quiet(wanted.places.nodes, deadline)
        verdict = await _once(wanted)
        if not verdict.violations or time.monotonic() + verdict.seconds >= deadline:
            return verdict
        await asyncio.sleep(min(max(_POLL_S, verdict.seconds), 5))


async def _quiet(nodes: list[NodePlace], deadline: float) -> None:
    """Wait until every attempt is decided, pending or in review."""
    while time.monotonic() < deadline:
        found = await asyncio.gather(*(_undecided(node) for node in nodes))
        if not any(found):
            return
        await asyncio.sleep(_POLL_S)


async def _undecided(node: NodePlace) -> bool:
    async with snapshot(node) as db:
        return bool(across.undecided(await across.open_attempts(db)))


class _Run:
    """What is gathered while the nodes are read one after the other."""

    def __init__(self, wanted: Wanted, readers: list[Reader], found: books.Books) -> None:
        self.wanted = wanted
        self.findings = Findings()
        self.readers = readers
        self.known = frozenset(found.providers)
        self.by_reference = found.by_reference()
        self.disputes = {(row.provider, row.id): row for row in found.disputes}
        self.permitted: dict[str, int] = {}
        self.stepped: steps.Stepped = {}
        self.completions = found.completions
        self.owners: across.KeyOwners = {}
        self.told = outside.Told()
        self.delivered: dict[str, str] = {}
        self.reviewed: set[str] = set()
        self.open: list[OpenAttempt] = []
        self.open_reviews: list[OpenReview] = []
        self.payments = self.paid = self.attempts = self.reviews = self.skipped = 0
        self.told_of_records = self.disputed = self.paid_out = self.setups = 0
        self.erased = 0
        self.deleted: set[str] = set()
        # What is neither set aside nor elsewhere, so that it must be compared with the books.
        self.joinable = self.charged = self.settled = 0
        self.history = None if wanted.history is None else outside.read_lines(wanted.history)
        self.sink = None if wanted.sink is None else outside.read_lines(wanted.sink)

    async def node(self, db: Reader) -> None:
        """Everything that concerns one node."""
        of = self.findings.of
        inside_it = (*inside.INSIDE, disputes.disputes_booked_once, *payouts.PAYOUTS)
        inside_it = (*inside_it, steps.steps_committed)
        of_records = (*records.RECORDS, *records.SETUPS, *files.FILES)
        gone = (*erasures.ERASURES, *test_data.TEST_DATA)
        for invariant in (*inside_it, *of_records, *told.TOLD, *gone):
            await invariant(db, of(invariant))
        rows = await tables.load(db)
        self.payments += len(rows.payments)
        self.paid += sum(payment.received > 0 for payment in rows.payments.values())
        self.attempts += len(rows.attempts)
        self.disputed += len(rows.disputes)
        self.paid_out += await db.number("SELECT count(*) FROM payout")
        read = stories.Stories(db.node, rows, self.findings)
        await stories.read(db, read)
        await stories.stored_answers(db, of(stories.stored_answers), rows, read.edited)
        await across.one_payment_per_key(db, of(across.one_payment_per_key), self.owners)
        await across.no_card_numbers(db, of(across.no_card_numbers))
        self._between(db, rows)
        self.stepped |= await steps.stepped(db)
        await files.evidence_files_match_books(
            db, self.by_reference, of(files.evidence_files_match_books)
        )
        self.open += await across.open_attempts(db)
        self.open_reviews += await across.open_reviews(db)
        self.reviews += await db.number("SELECT count(*) FROM review")
        self.erased += await db.number("SELECT count(*) FROM erasure")
        self.deleted |= await test_data.deleted(db)
        self.told_of_records += await db.number(records.TOLD)
        self.setups += await db.number(records.SETUPS_COUNT)
        for (reference,) in await db.rows("SELECT DISTINCT attempt FROM review"):
            self.reviewed.add(reference)
        if self.history is not None:
            await self.told.read(db, self.history)
        if self.sink is not None:
            self.delivered |= await outside.delivered(db)

    def _between(self, db: Reader, rows: tables.Tables) -> None:
        joined = providers.Joined(
            db.node, rows, self.by_reference, db.taken_ms, db.place.providers, self.known
        )
        self.skipped += joined.skipped
        self.joinable += joined.joinable
        self.charged += len(joined.charges)
        self.settled += joined.settled
        for invariant in providers.BETWEEN:
            invariant(joined, self.findings.of(invariant))
        disputes.disputes_match_books(
            db.node,
            rows.disputes,
            self.disputes,
            db.place.providers,
            db.taken_ms,
            self.findings.of(disputes.disputes_match_books),
        )
        for attempt in rows.attempts.values():
            self.permitted[attempt.id] = attempt.permitted_ms

    @property
    def taken_ms(self) -> int:
        """When the first of the snapshots was taken."""
        return min((db.taken_ms for db in self.readers), default=0)

    def end(self, seconds: float) -> Verdict:
        """What can only be said when all nodes have been read."""
        of = self.findings.of
        providers.no_call_without_attempt(
            self.by_reference,
            self.permitted,
            frozenset(self.reviewed),
            self.taken_ms,
            self.wanted.skew_ms,
            of(providers.no_call_without_attempt),
            lambda reference: test_data.part(reference) in self.deleted,
        )
        steps.steps_match_books(
            self.completions,
            self.stepped,
            self.permitted,
            self.taken_ms,
            self.wanted.skew_ms,
            of(steps.steps_match_books),
            lambda reference: test_data.part(reference) in self.deleted,
        )
        if self.history is not None:
            outside.history_agrees(self.history, self.told, of(outside.history_agrees))
        if self.sink is not None:
            outside.webhooks_in_order(self.sink, self.delivered, of(outside.webhooks_in_order))
        if self.wanted.wait_s is not None:
            across.liveness(self.open, self.attempts, of(across.liveness))
        limit = self.wanted.reviews_max_share
        if limit is not None:
            share = of(across.reviews_share)
            across.reviews_share(self.reviews, self.payments, limit, share)
        self._require_rows()
        return Verdict(
            self.payments,
            self.attempts,
            self.reviews,
            self.findings,
            self.open,
            self.open_reviews,
            self.skipped,
            seconds,
        )

    def _require_rows(self) -> None:
        """Comparing nothing is a failure, unless there was nothing of that kind anywhere: a call
        that a provider has refused is an attempt of ours, and in no books."""
        taken_ms = self.taken_ms
        rows = sum(row.created < taken_ms for rows in self.by_reference.values() for row in rows)
        settled = 0 if self.skipped else self.settled
        there_are = {
            "postings_balance": self.paid,
            "one_operation_at_a_time": self.attempts,
            "keys_claimed": self.attempts,
            "one_payment_per_key": self.attempts,
            "liveness": self.attempts,
            "attempts_match_books": self.joinable,
            "no_call_without_attempt": rows,
            "one_live_charge": self.charged,
            "succeeded_means_one_charge": settled,
            "refunds_match_books": settled,
            "failed_means_no_charge": 0,
            "steps_committed": 0,
            "steps_match_books": sum(row.created < taken_ms for row in self.completions),
            "refunds_follow_attempts": 0,
            "terminal_stays": 0,
            "deliveries_done_or_due": 0,
            "told_with_their_move": 0,
            "records_told": self.told_of_records,
            "methods_owned": 0,
            **{each.__name__: self.setups for each in records.SETUPS},
            "erased_is_gone": self.erased,
            "deleted_is_gone": len(self.deleted),
            "disputes_booked_once": self.disputed,
            "disputes_match_books": 0,
            "files_kept": 0,
            "evidence_files_exist": 0,
            "evidence_files_match_books": 0,
            **{each.__name__: self.paid_out for each in payouts.PAYOUTS},
        }
        for found in self.findings.all():
            found.require_rows(there_are.get(found.name, self.payments))


async def _once(wanted: Wanted) -> Verdict:
    started = time.monotonic()
    async with AsyncExitStack() as stack:
        readers = [await stack.enter_async_context(snapshot(each)) for each in wanted.places.nodes]
        # After the snapshots: what we hold for done was in the books before. What is in them
        # since is told by its time.
        run = _Run(wanted, readers, await books.read(wanted.places.books_url))
        for db in readers:
            await run.node(db)
        return run.end(time.monotonic() - started)


def commit() -> str | None:
    """The git commit of this program, where it runs from a repository."""
    here = Path(__file__).resolve().parent
    try:
        done = subprocess.run(
            ["git", "-C", str(here), "rev-parse", "HEAD"],
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None


def document(wanted: Wanted, verdict: Verdict) -> dict[str, Any]:
    """The verdict as one JSON document."""
    share = verdict.reviews / verdict.payments if verdict.payments else 0.0
    return {
        "ok": verdict.violations == 0,
        "violations": verdict.violations,
        "nodes": [node.name for node in wanted.places.nodes],
        "payments": verdict.payments,
        "attempts": verdict.attempts,
        "attempts_without_books": verdict.not_in_books,
        "invariants": [found.shown() for found in verdict.findings.all()],
        "open_attempts": msgspec.to_builtins(verdict.open_attempts),
        "open_reviews": msgspec.to_builtins(verdict.open_reviews),
        "reviews": verdict.reviews,
        "reviews_share": round(share, 6),
        "seed": wanted.seed,
        "commit": commit(),
        "seconds": round(verdict.seconds, 3),
    }
