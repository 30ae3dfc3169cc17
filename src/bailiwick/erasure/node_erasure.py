"""What is done at one node: look, then erase one thing after the other."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

import msgspec

from bailiwick.base.clock import now_ms
from bailiwick.delivery.webhooks import Endpoints
from bailiwick.erasure.order import ErasureError, StillOpen, erase_order, open_of
from bailiwick.erasure.payer import Asked, Open, Payer, find
from bailiwick.erasure.record import erase_record, note_records
from bailiwick.erasure.tables import kinds
from bailiwick.erasure.work import Work
from bailiwick.records.records import Writing
from bailiwick.resources.customers.commands import erase_customer
from bailiwick.runtime.crash import crash_point
from bailiwick.serving.erasing import Erasing
from bailiwick.store.database import Store
from bailiwick.store.lanes import WriteInDoubt

_ANY_EPOCH: Final = 2**62
"""An operator's command serves no epoch: whether the database is fenced is all that counts."""


class Seen(msgspec.Struct, frozen=True):
    """What a node keeps of a payer: ``before``, which of it was erased before."""

    payer: Payer
    open: list[Open]
    before: list[str]


class Done(msgspec.Struct):
    """Ids of what was erased, and of what had nothing left to erase; what is open after all."""

    erased: list[str]
    already: list[str]
    open: list[Open]


class NodeErasure:
    """One node's database, opened for an erasure. Made with ``opened``."""

    def __init__(
        self, store: Store, number: int, endpoints: Endpoints, run: str, by_whom: str
    ) -> None:
        self.number = number
        self._store = store
        self._endpoints = endpoints
        self._run = run
        self._by_whom = by_whom

    @contextlib.asynccontextmanager
    async def _work(self) -> AsyncIterator[Work]:
        async with self._store.transaction() as connection:
            work = Work(connection, self.number, self._endpoints, self._run, self._by_whom)
            if not await work.rows("record_fence", _ANY_EPOCH):
                raise ErasureError(
                    "this database is fenced: erase in the database by which the node is served"
                )
            yield work

    async def look(self, asked: Asked) -> Seen:
        """What is kept of a payer, and what of it is open. Raises ErasureError."""
        async with self._work() as work:
            payer = await find(work, asked)
            still = [
                each for order in payer.orders for each in await open_of(work, _kind(order), order)
            ]
            every = (*payer.orders, *payer.methods, *payer.customers)
            before = [each for each in every if await work.noted(each)]
        return Seen(payer, still, before)

    async def erase(self, asked: Asked, payer: Payer) -> Done:
        """Erase what was found. The customers come last: what they gave finds their payments as
        long as anything of these is left. Raises ErasureError."""
        done = Done([], [], [])
        await self._orders(payer.orders, done)
        if done.open:
            return done
        for identifier in payer.methods:
            await self._one(identifier, done, erase_record)
        for identifier in payer.customers:
            await self._one(identifier, done, _erase_customer)
        # What was paid meanwhile by customers who were there until now.
        customers = Asked(customers=tuple({*payer.customers, *asked.customers}))
        late = (await self.look(customers)).payer.orders
        await self._orders([each for each in late if each not in payer.orders], done)
        return done

    async def _orders(self, identifiers: list[str], done: Done) -> None:
        for identifier in identifiers:
            try:
                await self._one(
                    identifier, done, lambda work, each: erase_order(work, _kind(each), each)
                )
            except StillOpen as found:
                done.open.extend(found.found)

    async def _one(
        self, identifier: str, done: Done, how: Callable[[Work, str], Awaitable[bool]]
    ) -> None:
        try:
            async with self._work() as work:
                found = await how(work, identifier)
        except WriteInDoubt:
            raise ErasureError(
                f"whether {identifier} was erased is not known: repeat the command"
            ) from None
        (done.erased if found else done.already).append(identifier)
        crash_point("erase.committed")


def _kind(order: str) -> Erasing:
    return kinds()[order.partition("_")[0]]


async def _erase_customer(work: Work, identifier: str) -> bool:
    writing = Writing(work.connection, work.node, work.endpoints, None)
    row = await writing.lock(identifier)
    if row is None or row.erased:
        return False
    owned = await writing.lock_owned(identifier)
    await erase_customer(writing, row, now_ms())
    await note_records(work, *owned, row)
    return True


@contextlib.asynccontextmanager
async def opened(dsn: str, run: str, by_whom: str) -> AsyncIterator[NodeErasure]:
    """Open a node's database. Raises ErasureError, DATABASE_ERRORS."""
    store = Store(dsn, lambda: _ANY_EPOCH, [], pool_max=3)
    await store.open()
    try:
        endpoints = Endpoints()
        await endpoints.load(store)
        yield NodeErasure(store, (await store.fence()).node, endpoints, run, by_whom)
    finally:
        await store.close()
