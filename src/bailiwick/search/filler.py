"""Fills the table that is searched, from the outbox, after the fact.

A consumer of the outbox like the relay: it claims its place, reads a page of events below the
horizon, writes the entries of what these are about as it is now, and its new place
with them in one commit. So nothing is left out, and what is written twice is the same. A database
that was filled by another version of the statements, or of another cluster, is gone through from
the beginning.

It takes little of the node's time: pages are read and written by a few statements within the
database, and after each one it pauses for many times as long as that took, longest while most is
paid. While more is paid than it can follow, what is found lags behind; payments do not wait.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

import asyncpg

from bailiwick.delivery.outbox import Claim, Consumer, Followed, Position
from bailiwick.delivery.reading import Left, Reading
from bailiwick.runtime import telemetry
from bailiwick.runtime.database_errors import DATABASE_ERRORS
from bailiwick.runtime.loops import forever
from bailiwick.search.declared import form
from bailiwick.store.statements import statement

CONSUMER = "search"
PAGE = 400
EVERY_S = 1.0
"""Between two looks, and so about how long it takes until a payment is found."""
LOOK_S = 10.0
"""Without a write of our own, the outbox is looked at so often (another process may write)."""
SUMMARIZE_S = 5.0
REST, REST_BUSY = 19.0, 49.0
"""How many times as long as it worked it pauses before it goes on: it takes at most a twentieth of
one connection's time, or a fiftieth. What comes in faster than that is found later, and payments
have the rest."""
BUSY_ROWS_S = 1_000
"""Rows written a second (a payment writes two) from which on a node counts as busy."""

log = telemetry.logger()


class SearchOutbox(Consumer):
    """The outbox with the statements that write entries, on the connection that has claimed it."""

    def __init__(self, dsn: str) -> None:
        super().__init__(dsn, CONSUMER)

    async def follow(self, after: Position, below: int, limit: int) -> list[Followed]:
        """Events of transactions from ``after`` to ``below``, in their order."""
        place = (after.xact, after.subject, after.seq)
        return await self._followed("search_follow", *place, below, limit)

    async def sweep(self, after: Position, limit: int) -> list[Followed]:
        """Events subject by subject."""
        return await self._followed("search_sweep", after.subject, after.seq, limit)

    async def _followed(self, name: str, *arguments: Any) -> list[Followed]:
        connection = await self._open()
        return [Followed(*row) for row in await connection.fetch(statement(name), *arguments)]

    async def fill(self, name: str, subjects: Sequence[str]) -> list[str]:
        """Write the entries of some subjects; those of which none can be made are left out, and
        their ids come back."""
        connection = await self._open()
        try:
            async with connection.transaction():
                await connection.execute(statement(name), list(subjects))
        except (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError):
            if len(subjects) == 1:
                return list(subjects)
            half = len(subjects) // 2
            first = await self.fill(name, subjects[:half])
            return first + await self.fill(name, subjects[half:])
        return []


class Filler:
    """Fills one node's table.

    Args:
        fills: the statements that write entries, by name.
        epoch: the one in force; a fence above it stops this writer too.
        written: rows that this process has written so far.

    Attributes:
        behind: there is more to read.
    """

    def __init__(
        self,
        outbox: SearchOutbox,
        fills: Sequence[str],
        epoch: Callable[[], int],
        written: Callable[[], int],
    ) -> None:
        self._outbox = outbox
        self._reading = Reading(outbox)
        self._fills = fills
        self._form = form([statement(each) for each in fills])
        self._epoch = epoch
        self._written = written
        self._seen = -1
        self._written_before = 0
        self._looked_at = self._summarized_at = 0.0
        self.behind = True

    async def run(self) -> None:
        """Fill for ever; only cancellation ends it."""
        try:
            await forever("search", self._careful)
        finally:
            await self._outbox.close()

    async def _careful(self) -> float:
        try:
            return await self.step()
        except DATABASE_ERRORS:
            await self._outbox.close()
            raise

    async def step(self) -> float:
        """One page, if there may be one; seconds until the next.

        Raises:
            DATABASE_ERRORS: the database is away; nothing is lost.
        """
        began = time.monotonic()
        written = self._written()
        if written == self._seen and not self.behind and began - self._looked_at < LOOK_S:
            return EVERY_S
        rest = self._rest(written, began - self._looked_at)
        self._looked_at = began
        left, filled = await self._pass()
        self.behind = left is not Left.NOTHING
        if not self.behind:
            self._seen = written
        if filled and began - self._summarized_at > SUMMARIZE_S:
            self._summarized_at = began
            await self._outbox.summarize()
        took = time.monotonic() - began
        return took * rest if left is Left.MORE else max(EVERY_S, took * rest)

    def _rest(self, written: int, seconds: float) -> float:
        """How long to pause, by how much was written since the last page."""
        busy = written - self._written_before > BUSY_ROWS_S * seconds
        self._written_before = written
        return REST_BUSY if busy else REST

    async def _pass(self) -> tuple[Left, int]:
        """Fill from one page; what is left, and of how many subjects there are entries now."""
        async with self._outbox.claimed(self._epoch()) as claim:
            if claim is None:
                return Left.NOTHING, 0
            position, reason = self._begin(claim)
            if reason is not None:
                log.info("search_begins_again", reason=reason)
            rows, after, left = await self._reading.page(position, claim, PAGE)
            subjects = sorted({row.subject for row in rows})
            for name in self._fills if subjects else ():
                for subject in await self._outbox.fill(name, subjects):
                    log.error("search_left_out", subject=subject)
            if rows or left is Left.MORE or reason is not None:
                await self._outbox.advance(claim.here, after, self._form, 0, len(rows))
            return left, len(subjects)

    def _begin(self, claim: Claim) -> tuple[Position, str | None]:
        """Where to read on, and why from the beginning."""
        if claim.origin != claim.here:
            reason = "no place is known" if claim.origin is None else "another cluster"
        elif claim.stream != self._form:
            reason = "entries are made otherwise now"
        else:
            return claim.position, None
        return Position(True, claim.horizon), reason
