"""One transaction of a deletion: some orders or records, each with all that is kept of it."""

from collections.abc import Sequence
from typing import Any

import asyncpg
import msgspec

from bailiwick.orders.attempts import OPEN
from bailiwick.store.statements import statement


class DeletionError(Exception):
    """Nothing can be deleted here; the message has the remedy."""


class Step(msgspec.Struct):
    """What became of some orders or records: up to which id these went, how many there were, how
    many are gone, and of which orders an attempt is open."""

    last: str
    seen: int
    gone: int
    open: list[str]


class Batch:
    """What is deleted all at once, or not at all."""

    def __init__(self, connection: asyncpg.Connection, merchant: str, run: str) -> None:
        self._connection = connection
        self._merchant = merchant
        self._run = run

    async def rows(self, name: str, *args: object) -> list[Any]:
        """Run a named statement."""
        found: list[Any] = await self._connection.fetch(statement(name), *args)
        return found

    async def orders(self, *, kind: str, after: str, last: str, most: int) -> Step:
        """The next orders of a kind, but for those of which an attempt is open.

        Raises:
            DeletionError: nothing is written.
        """
        locked = await self.rows(f"test_data_{kind}s", self._merchant, after, last, most)
        if not locked:
            return Step(last, 0, 0, [])
        if kind == "payment":
            await self._without_payouts(sorted({row["currency"] for row in locked}))
        counts = {row["id"]: row["attempts"] for row in locked}
        attempts = await self._attempts(counts)
        still = {subject for _, subject, state in attempts if state in OPEN}
        gone = [each for each in counts if each not in still]
        await self.rows("test_data_note", gone, self._run)
        await self._delete(gone, [each for each, subject, _ in attempts if subject not in still])
        return Step(locked[-1]["id"], len(locked), len(gone), sorted(still))

    async def _without_payouts(self, currencies: Sequence[str]) -> None:
        """What was paid goes after what was paid out of it: else that is over the balance."""
        await self.rows("test_data_payouts_wait", self._merchant, currencies)
        made = await self.rows("test_data_paid_out", self._merchant)
        if made:
            raise DeletionError(
                f"payout {made[0]['id']} is there, made of these payments: repeat the command"
            )

    async def _attempts(self, counts: dict[str, int]) -> list[tuple[str, str, str]]:
        found = await self.rows("test_data_attempts", list(counts), list(counts.values()))
        attempts = [tuple(row) for row in found]
        for order, count in counts.items():
            if sum(subject == order for _, subject, _ in attempts) != count:
                raise DeletionError(f"{order}: an attempt of it is not found: see bailiwick check")
        return attempts

    async def records(self, *, owned: bool, after: str, last: str, most: int) -> Step:
        """The next records, but for those that something needs."""
        found = await self.rows("test_data_records", self._merchant, after, last, most, owned)
        if not found:
            return Step(last, 0, 0, [])
        ids = [row["id"] for row in found]
        # They are locked: what comes to belong to them from now on waits, and finds them gone.
        needed = {row["id"] for row in await self.rows("test_data_needed", ids, self._merchant)}
        gone = [each for each in ids if each not in needed]
        await self._delete(gone, [])
        return Step(ids[-1], len(ids), len(gone), [])

    async def _delete(self, subjects: list[str], attempts: list[str]) -> None:
        await self.rows("test_data_parts", subjects, attempts, self._merchant)
        deleted = await self.rows("test_data_rows", subjects)
        assert len(deleted) == len(subjects), "they are locked"
