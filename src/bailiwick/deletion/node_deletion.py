"""What is done at one node: look, then delete page after page."""

import asyncio
import contextlib
import functools
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final, TypeVar
from uuid import UUID

import msgspec

from bailiwick.deletion.batch import Batch, DeletionError, Step
from bailiwick.resources import declared
from bailiwick.runtime.crash import crash_point
from bailiwick.store.database import Store
from bailiwick.store.lanes import WriteInDoubt
from bailiwick.store.statements import statement

ORDERS: Final = ("payout", "payment", "setup")
"""In this order: payouts are made of what was paid."""
AT_ONCE: Final = 50
"""Orders or records in one transaction: a batch of payments may wait as long as that takes."""
PAGE: Final = 2_000
"""Keys, entries of searches and tries that are looked through in one transaction."""
PASSES: Final = 3
"""So often it is looked again for what others had locked."""
OPEN_SHOWN: Final = 20
_COUNT_S: Final = 600.0
_REST_MOST_S: Final = 1.0
T = TypeVar("T")
_ANY_EPOCH: Final = 2**62
"""An operator's command serves no epoch: whether the database is fenced is all that counts."""


class Seen(msgspec.Struct, frozen=True):
    """What a node has of a merchant's test data: how many of each kind, up to which id, and orders
    of which an attempt is open (the first few)."""

    counts: dict[str, int]
    last: dict[str, str]
    open: list[str]


class Done(msgspec.Struct):
    """How many of each kind are deleted, and how many of what was seen are left; orders of which an
    attempt is open after all (the first few)."""

    deleted: dict[str, int]
    left: dict[str, int]
    open: list[str]


class NodeDeletion:
    """One node's database, opened to delete a merchant's test data. Made with ``opened``."""

    def __init__(self, store: Store, number: int, merchant: str, run: str, by_whom: str) -> None:
        self.number = number
        self._store = store
        self._merchant = merchant
        self._run = run
        self._by_whom = by_whom

    @contextlib.asynccontextmanager
    async def _batch(self) -> AsyncIterator[Batch]:
        async with self._store.transaction() as connection:
            if not await connection.fetch(statement("record_fence"), _ANY_EPOCH):
                raise DeletionError(
                    "this database is fenced: delete in the database by which the node is served"
                )
            await connection.fetch(statement("test_data_begin"))
            yield Batch(connection, self._merchant, self._run)

    async def look(self) -> Seen:
        """What there is, and what of it is open. Raises DeletionError."""
        async with self._store.transaction() as connection:
            rows = await connection.fetch(
                statement("test_data_counts"), self._merchant, timeout=_COUNT_S
            )
            still = await connection.fetch(
                statement("test_data_open"), self._merchant, OPEN_SHOWN, timeout=_COUNT_S
            )
        return Seen(
            {kind: number for kind, number, _ in rows},
            {kind: last for kind, _, last in rows if last is not None},
            [row["id"] for row in still],
        )

    async def delete(self, seen: Seen) -> Done:
        """Delete what was seen: orders, then records, then what is kept of neither. Records stay
        while orders are left that may need them.

        Raises:
            DeletionError: what was deleted until then stays so.
        """
        await self._once(lambda batch: batch.rows("test_data_run", *self._by))
        done = Done(dict.fromkeys(seen.counts, 0), {}, [])
        for kind in ORDERS:
            await self._walk(kind, seen, done, functools.partial(Batch.orders, kind=kind))
        if not done.left:
            for kind, owned in (("owned", True), ("record", False)):
                await self._walk(kind, seen, done, functools.partial(Batch.records, owned=owned))
            await self._rest()
        if not done.left:
            await self._once(lambda batch: batch.rows("test_data_ended", self._run))
        return done

    @property
    def _by(self) -> tuple[str, str, str]:
        return self._run, self._merchant, self._by_whom

    async def _walk(
        self, kind: str, seen: Seen, done: Done, step: Callable[..., Awaitable[Step]]
    ) -> None:
        """Everything of a kind up to the last that was seen, several times if some was locked."""
        last = seen.last.get(kind)
        if last is None:
            return
        still: set[str] = set()
        left = 0
        for _ in range(PASSES):
            after, met, gone = "", 0, 0
            while after < last:
                found = await self._once(
                    functools.partial(step, after=after, last=last, most=AT_ONCE)
                )
                after, met, gone = found.last, met + found.seen, gone + found.gone
                still.update(found.open)
            done.deleted[kind] += gone
            left = await self._left(kind, last)
            if left == 0 or (gone == 0 and met == left):
                break
        if left:
            done.left[kind] = left
            done.open = sorted({*done.open, *still})[:OPEN_SHOWN]

    async def _left(self, kind: str, last: str) -> int:
        async with self._store.transaction() as connection:
            found = await connection.fetch(
                statement("test_data_left"), self._merchant, kind, last, timeout=_COUNT_S
            )
        return int(found[0]["number"])

    async def _rest(self) -> None:
        """What is kept of no order and no record any more."""
        nothing = UUID(int=0)
        await self._pages("test_data_keys", nothing)
        for kind in sorted({each.resource.prefix for each in declared("SEARCHED", "search")}):
            await self._pages("test_data_search", "", kind)
        await self._pages("test_data_tries", "")

    async def _pages(self, name: str, after: object, *of: object) -> None:
        place = [after]
        while True:
            rows = await self._once(
                lambda batch: batch.rows(name, self._merchant, *of, place[0], PAGE)
            )
            if not rows:
                return
            place[0] = rows[0][0]

    async def _once(self, work: Callable[[Batch], Awaitable[T]]) -> T:
        """One transaction, and a rest of the same length: others have the database meanwhile."""
        began = time.monotonic()
        try:
            async with self._batch() as batch:
                found = await work(batch)
        except WriteInDoubt:
            raise DeletionError(
                "whether the latest was deleted is not known: repeat the command"
            ) from None
        crash_point("deletion.committed")
        await asyncio.sleep(min(time.monotonic() - began, _REST_MOST_S))
        return found


@contextlib.asynccontextmanager
async def opened(dsn: str, merchant: str, run: str, by_whom: str) -> AsyncIterator[NodeDeletion]:
    """Open a node's database. Raises DeletionError, DATABASE_ERRORS."""
    store = Store(dsn, lambda: _ANY_EPOCH, [], pool_max=3)
    await store.open()
    try:
        yield NodeDeletion(store, (await store.fence()).node, merchant, run, by_whom)
    finally:
        await store.close()
