"""The node's database: lanes that write many rows at once, a pool that reads, and the small writes.

All reads go to the primary: a decision taken from a replica that lags has paid twice elsewhere.
What is written and read is said by who owns it: each has its SQL in a folder of its own.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import Any, TypeVar

import asyncpg
import msgspec

from bailiwick.runtime.turns import Turns
from bailiwick.store.lanes import Lane, LaneFull, Verify, WriteInDoubt, Written
from bailiwick.store.statements import lean, statement

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
TRANSACTIONS_MAX = 4
"""Connections for what is written row by row; opened when they are needed."""
TRANSACTION_WAIT_S = 5.0
TRANSACTION_IDLE = "5s"
"""After so long without a statement a transaction is ended, and what it has locked is free."""


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


class LaneSpec(msgspec.Struct, frozen=True):
    """A lane that a store is to have.

    Attributes:
        sql: the statement; its first argument are the rows, the second is the epoch.
        verify: which of some rows are there, by their writer tokens; read over one connection.
        inserts_only: its joins are between the batch and itself, and want to be hashed.
        seldom: the rows' fields that only the statement's seldom parts act on.
    """

    name: str
    sql: str
    verify: Verify
    inserts_only: bool = True
    seldom: tuple[str, ...] = ()


class Store:
    """One node's PostgreSQL database.

    Attributes:
        lanes: its lanes, by name.
    """

    def __init__(
        self, dsn: str, epoch: Callable[[], int], lanes: Sequence[LaneSpec], pool_max: int = 12
    ) -> None:
        self._dsn = dsn
        self._pool_max = pool_max
        self._pool: asyncpg.Pool | None = None
        self._lists: asyncpg.Pool | None = None
        self._writes: asyncpg.Pool | None = None
        self._unsure = 0  # commits of transactions whose answers were lost
        self._transactions = 0
        self._turns = Turns(LISTS_OF_MERCHANT)
        self.epoch = epoch
        self._sure = asyncio.Lock()
        self.lanes: dict[str, Lane[Any]] = {each.name: self._lane(each) for each in lanes}
        self._every = tuple(self.lanes.values())

    def _lane(self, spec: LaneSpec) -> Lane[Any]:
        settings = statement("lane_settings")
        if not spec.inserts_only:
            settings += "; SET enable_hashjoin = off"

        async def connect() -> asyncpg.Connection:
            connection = await asyncpg.connect(
                self._dsn,
                timeout=5,
                command_timeout=15,
                server_settings={"application_name": "bailiwick-lane", "jit": "off"},
            )
            await connection.execute(settings)
            return connection

        barrier = statement("barrier")
        text = lean(spec.sql)
        return Lane(
            spec.name, spec.sql, text, connect, spec.verify, self.epoch, barrier, spec.seldom
        )

    async def open(self) -> None:
        """Connect everything.

        Raises:
            OSError, asyncpg.PostgresError: the server cannot be reached or refuses us.
        """

        async def keep(_: asyncpg.Connection) -> None:
            """No reset query on release: one round trip less, and nothing here needs it."""

        async def pool(most: int, *, least: int, **more: str) -> asyncpg.Pool:
            return await asyncpg.create_pool(
                self._dsn,
                min_size=least,
                max_size=most,
                reset=keep,
                command_timeout=10,
                timeout=5,
                server_settings={"application_name": "bailiwick-read", "jit": "off", **more},
            )

        lists = max(1, self._pool_max // LISTS_SHARE)
        self._pool = await pool(max(2, self._pool_max - lists), least=2)
        # A list has filters that most requests leave out: each is planned for what it has.
        self._lists = await pool(lists, least=0, plan_cache_mode="force_custom_plan")
        # A lane may wait for what a transaction has locked: a process that stops in one is cut off.
        idle = {"idle_in_transaction_session_timeout": TRANSACTION_IDLE}
        self._writes = await pool(TRANSACTIONS_MAX, least=0, **idle)
        for lane in self._every:
            await lane.start()

    async def close(self) -> None:
        """Finish the batches under way and disconnect."""
        for lane in self._every:
            await lane.stop()
        for pool in (self._pool, self._lists, self._writes):
            if pool is not None:
                await pool.close()

    def write(self, lane: str, row: Any) -> "asyncio.Future[Written]":
        """Queue a row of a lane; the future tells its fate.

        Raises, through the future: LaneFull, WriteInDoubt, BadRow; see ``Lane.write``.
        """
        try:
            return self.lanes[lane].write(row)
        except LaneFull as full:
            refused: asyncio.Future[Written] = asyncio.get_running_loop().create_future()
            refused.set_exception(full)
            return refused

    async def rows(self, name: str, *args: object) -> list[asyncpg.Record]:
        """Run a named statement, bounded in time."""
        assert self._pool is not None
        return await self._pool.fetch(statement(name), *args, timeout=10)

    async def row(self, name: str, *args: object) -> asyncpg.Record | None:
        """The first row of a named statement."""
        assert self._pool is not None
        return await self._pool.fetchrow(statement(name), *args, timeout=10)

    async def sure_row(self, name: str, *args: object) -> asyncpg.Record | None:
        """The same, of what is durable: after a commit whose answer was lost, what shows may not
        be (see ``Lane``)."""
        if self._unsure:
            await self._be_sure()
        for lane in self._every:
            if lane.doubtful:
                await self._be_sure()
        return await self.row(name, *args)

    async def _be_sure(self) -> None:
        async with self._sure:
            doubtful = [lane for lane in self._every if lane.doubtful]
            if doubtful or self._unsure:
                assert self._pool is not None
                unsure = self._unsure
                await self._pool.execute(statement("barrier"), timeout=SURE_S)
                self._unsure -= unsure
            for lane in doubtful:
                lane.doubtful = False

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[asyncpg.Connection]:
        """A transaction for what is written seldom and row by row; committed at the end.

        A commit whose answer is lost may have been done: what is read later of what is durable
        (``sure_row``) waits until that is certain, and a repetition of the request finds its key.

        Raises:
            WriteInDoubt: the commit's answer was lost. DATABASE_ERRORS: nothing was written.
        """
        assert self._writes is not None
        async with self._writes.acquire(timeout=TRANSACTION_WAIT_S) as connection:
            transaction = connection.transaction()
            await transaction.start()
            try:
                yield connection  # type: ignore[misc]  # a pool's stands in for its connection
            except BaseException:
                with contextlib.suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
                    await transaction.rollback()
                raise
            try:
                await transaction.commit()
            except BaseException as error:
                self._unsure += 1
                connection.terminate()
                if isinstance(error, Exception):
                    raise WriteInDoubt(type(error).__name__) from None
                raise
            self._transactions += 1

    def written(self) -> int:
        """Grows with everything that this process writes: rows of lanes and other transactions."""
        return self._transactions + sum(lane.rows for lane in self.lanes.values())

    async def fence(self) -> Fence:
        """The fence row."""
        row = await self.row("fence_read")
        assert row is not None, "migrated databases have exactly one fence row"
        return Fence(*row)

    async def owned(self, table: str, identifier: str, merchant: str, livemode: bool) -> bool:
        """Whether a row is a merchant's own, of this mode, by the statement ``<table>_owned``."""
        return await self.row(f"{table}_owned", identifier, merchant, livemode) is not None

    async def page(
        self, table: str, merchant: str, livemode: bool, page: Page, *filters: object
    ) -> list[asyncpg.Record]:
        """A page of a merchant's rows, by ``<table>_list_newest`` or ``_oldest``; the column
        ``following`` is the id of the row after the last."""
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


def following(found: list[asyncpg.Record]) -> str | None:
    """The id of the row that comes after a page."""
    return found[-1]["following"] if found else None


async def tokens(connection: asyncpg.Connection, name: str, *columns: Iterable[object]) -> set[int]:
    """The writer tokens that a named statement finds."""
    return {row[0] for row in await connection.fetch(statement(name), *columns)}
