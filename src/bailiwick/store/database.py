"""The node's database: two lanes that write payments, one that refuses them, a pool that reads,
and the small writes.

All reads go to the primary: a decision taken from a replica that lags has paid twice elsewhere.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import asyncpg
import msgspec

from bailiwick.runtime.turns import Turns
from bailiwick.store.lanes import Lane, Written
from bailiwick.store.rows import (
    Attempt,
    Create,
    Move,
    Payment,
    Refund,
    Refuse,
    StoredKey,
)
from bailiwick.store.statements import lean, statement

_payment = msgspec.json.Decoder(Payment)
LOWEST_ID = ""
HIGHEST_ID = "~"
RowT = TypeVar("RowT")
Part = tuple[list[RowT], str | None]
"""Rows of a list, and the id of the one that comes after them."""
SURE_S = 10.0
LISTS_SHARE = 4
"""One in so many of the reading connections is for lists alone."""
LISTS_OF_MERCHANT = 2
LIST_WAIT_S = 10.0


class Fence(msgspec.Struct, frozen=True):
    """Whether this database may be written, and by whom."""

    node: int
    epoch: int
    fenced: bool
    draining: bool


class Page(msgspec.Struct, frozen=True):
    """Which part of a list: ids and times between two bounds, newest or oldest first.

    ``bytes_most``: of stored text, after which no further row is begun; the first row is read
    whatever its size.
    """

    limit: int
    bytes_most: int = 2**53
    below: str = HIGHEST_ID
    above: str = LOWEST_ID
    oldest_first: bool = False
    since_ms: int = 0
    until_ms: int = 2**53


class Store:
    """One node's PostgreSQL database."""

    def __init__(self, dsn: str, epoch: Callable[[], int], pool_max: int = 12) -> None:
        self._dsn = dsn
        self._pool_max = pool_max
        self._pool: asyncpg.Pool | None = None
        self._lists: asyncpg.Pool | None = None
        self._turns = Turns(LISTS_OF_MERCHANT)
        self.epoch = epoch
        self._sure = asyncio.Lock()
        settings = statement("lane_settings")

        async def connect(session: str) -> asyncpg.Connection:
            connection = await asyncpg.connect(
                dsn,
                timeout=5,
                command_timeout=15,
                server_settings={"application_name": "bailiwick-lane", "jit": "off"},
            )
            await connection.execute(session)
            return connection

        async def for_create() -> asyncpg.Connection:
            # Inserts only: the join is between the batch and itself, and wants to be hashed.
            return await connect(settings)

        async def for_move() -> asyncpg.Connection:
            return await connect(settings + "; SET enable_hashjoin = off")

        barrier = statement("barrier")
        self.creates: Lane[Create] = Lane(
            "create",
            statement("create"),
            lean("create"),
            for_create,
            _verify_keys,
            epoch,
            barrier,
        )
        self.moves: Lane[Move] = Lane(
            "move", statement("move"), lean("move"), for_move, _verify_moves, epoch, barrier
        )
        # A lane of its own: shedding does not wait for payments, nor they for it.
        refuse = statement("key_refuse")
        self.refusals: Lane[Refuse] = Lane(
            "refuse", refuse, refuse, for_create, _verify_keys, epoch, barrier
        )

    @property
    def lanes(self) -> tuple[Lane[Any], ...]:
        """All lanes."""
        return self.creates, self.moves, self.refusals

    @property
    def _doubtful(self) -> bool:
        return self.creates.doubtful or self.moves.doubtful or self.refusals.doubtful

    async def open(self) -> None:
        """Connect everything.

        Raises:
            OSError, asyncpg.PostgresError: the server cannot be reached or refuses us.
        """

        async def keep(_: asyncpg.Connection) -> None:
            """No reset query on release: one round trip less, and nothing here needs it."""

        async def pool(most: int, *, least: int) -> asyncpg.Pool:
            return await asyncpg.create_pool(
                self._dsn,
                min_size=least,
                max_size=most,
                reset=keep,
                command_timeout=10,
                timeout=5,
                server_settings={"application_name": "bailiwick-read", "jit": "off"},
            )

        lists = max(1, self._pool_max // LISTS_SHARE)
        self._pool = await pool(max(2, self._pool_max - lists), least=2)
        self._lists = await pool(lists, least=0)
        for lane in self.lanes:
            await lane.start()

    async def close(self) -> None:
        """Finish the batches under way and disconnect."""
        for lane in self.lanes:
            await lane.stop()
        for pool in (self._pool, self._lists):
            if pool is not None:
                await pool.close()

    async def create(self, row: Create) -> Written:
        """Queue a new payment and wait for its fate; see ``Lane.write``."""
        return await self.creates.write(row)

    async def move(self, row: Move) -> Written:
        """Queue a move and wait for its fate; see ``Lane.write``."""
        return await self.moves.write(row)

    def refuse(self, row: Refuse) -> "asyncio.Future[Written]":
        """Queue tombstones and wait for their fate; see ``Lane.write``."""
        return self.refusals.write(row)

    async def rows(self, name: str, *args: object) -> list[asyncpg.Record]:
        """Run a named statement, bounded in time."""
        assert self._pool is not None
        return await self._pool.fetch(statement(name), *args, timeout=10)

    async def row(self, name: str, *args: object) -> asyncpg.Record | None:
        """The first row of a named statement."""
        assert self._pool is not None
        return await self._pool.fetchrow(statement(name), *args, timeout=10)

    async def _be_sure(self) -> None:
        """After a commit whose answer was lost: read only what is durable (see ``Lane``)."""
        async with self._sure:
            doubtful = [lane for lane in self.lanes if lane.doubtful]
            if doubtful:
                assert self._pool is not None
                await self._pool.execute(statement("barrier"), timeout=SURE_S)
            for lane in doubtful:
                lane.doubtful = False

    async def key(self, identity: str) -> StoredKey | None:
        """A claimed or refused idempotency key, by its identity (``key_identity``)."""
        if self._doubtful:
            await self._be_sure()
        row = await self.row("key_find", identity)
        return None if row is None else StoredKey(*row)

    async def payment(self, identifier: str) -> Payment | None:
        """A payment by id, whoever owns it: the caller checks the merchant."""
        if self._doubtful:
            await self._be_sure()
        row = await self.row("payment_find", identifier)
        return None if row is None else payment_of(row)

    async def payments(
        self, merchant: str, livemode: bool, page: Page, customer: str | None
    ) -> Part[Payment]:
        """A page of a merchant's payments, of one customer or all."""
        found = await self._page(
            "payment", merchant, livemode, page, page.since_ms, page.until_ms, customer
        )
        return [payment_of(row[:-1]) for row in found], _following(found)

    async def refunds(
        self, merchant: str, livemode: bool, page: Page, payment: str | None
    ) -> Part[tuple[Refund, str | None]]:
        """A page of a merchant's refunds, of one payment or all, each with its payment's charge."""
        found = await self._page(
            "refund", merchant, livemode, page, payment, page.since_ms, page.until_ms
        )
        return [(refund_of(row[:-2]), row["charge"]) for row in found], _following(found)

    async def events(
        self, merchant: str, livemode: bool, page: Page, types: list[str] | None
    ) -> Part[asyncpg.Record]:
        """A page of a merchant's events, of some types or all."""
        found = await self._page(
            "event", merchant, livemode, page, types, page.since_ms, page.until_ms
        )
        return found, _following(found)

    async def owned(self, table: str, identifier: str, merchant: str, livemode: bool) -> bool:
        """Whether a ``payment``, ``refund`` or ``event`` is a merchant's own, of this mode."""
        return await self.row(f"{table}_owned", identifier, merchant, livemode) is not None

    async def refund(self, identifier: str) -> Refund | None:
        """A refund by id."""
        row = await self.row("refund_find", identifier)
        return None if row is None else refund_of(row)

    async def attempt(self, identifier: str) -> Attempt | None:
        """An attempt by id."""
        if self._doubtful:
            await self._be_sure()
        row = await self.row("attempt_find", identifier)
        return None if row is None else attempt_of(row)

    async def attempts(self, payment: str) -> list[Attempt]:
        """All attempts of a payment, in order."""
        return [attempt_of(row) for row in await self.rows("attempts_of_payment", payment)]

    async def due(self, limit: int, lease_ms: int) -> list[Attempt]:
        """Claim open attempts that are due for a look."""
        return [
            attempt_of(row)
            for row in await self.rows("attempts_due", limit, lease_ms, self.epoch())
        ]

    async def sweep(self, expired_ms: int) -> list[str]:
        """Have the resolver look at attempts permitted longer ago than that and ended by nobody:
        their ids. Nothing that was found before, or has ended, is looked through again."""
        bounds = await self.row("sweep_bounds", expired_ms)
        assert bounds is not None, "migrated databases have exactly one sweep row"
        await self.rows("attempts_summarize")
        since, until = bounds
        found = await self.rows("attempts_forgotten", since, expired_ms, self.epoch(), until)
        return [row[0] for row in found]

    async def fence(self) -> Fence:
        """The fence row."""
        row = await self.row("fence_read")
        assert row is not None, "migrated databases have exactly one fence row"
        return Fence(*row)

    async def _page(
        self, table: str, merchant: str, livemode: bool, page: Page, *filters: object
    ) -> list[asyncpg.Record]:
        order = "oldest" if page.oldest_first else "newest"
        return await self.list_rows(
            f"{table}_list_{order}",
            merchant,
            livemode,
            page.below,
            page.above,
            page.limit,
            *filters,
            page.bytes_most,
        )

    async def list_rows(self, name: str, merchant: str, *args: object) -> list[asyncpg.Record]:
        """Run a list of a merchant's. Payments read keys with the other connections: no list holds
        them up, and no merchant's lists all the others'."""
        assert self._lists is not None
        async with asyncio.timeout(LIST_WAIT_S), self._turns.hold(merchant):
            return await self._lists.fetch(statement(name), merchant, *args, timeout=LIST_WAIT_S)


def _following(found: list[asyncpg.Record]) -> str | None:
    return found[-1]["following"] if found else None


def payment_of(row: Iterable[Any]) -> Payment:
    """A payment from the columns of ``payment_find``, in order."""
    values = list(row)
    described = content_of(values[10])
    values[10:11] = [described.details, described.progress]
    return Payment(*values)


def content_of(content: str) -> Payment:
    """The payment as it was when its content was written; the guarded columns have moved on."""
    return _payment.decode(content)


def refund_of(row: Iterable[Any]) -> Refund:
    """A refund from the columns of ``refund_find``, in order."""
    values = list(row)
    values[9] = msgspec.json.decode(values[9])
    return Refund(*values)


def attempt_of(row: asyncpg.Record) -> Attempt:
    """An attempt from the columns of ``attempt_find``, in order."""
    values = list(row)
    values[12] = msgspec.Raw(values[12].encode())
    values[14] = None if values[14] is None else msgspec.Raw(values[14].encode())
    return Attempt(*values)


async def _verify_keys(
    connection: asyncpg.Connection, rows: list[Create] | list[Refuse]
) -> set[int]:
    return await _tokens(
        connection, "verify_keys", [each for row in rows for each in row.identities]
    )


async def _verify_moves(connection: asyncpg.Connection, rows: list[Move]) -> set[int]:
    ids = [row.id for row in rows]
    return await _tokens(connection, "verify_move", ids, [row.expected_version + 1 for row in rows])


async def _tokens(
    connection: asyncpg.Connection, name: str, *columns: Iterable[object]
) -> set[int]:
    return {row[0] for row in await connection.fetch(statement(name), *columns)}
