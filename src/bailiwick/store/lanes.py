"""Group commit: many writers, one statement, one durable commit.

A lane owns one connection and one statement. It takes what waits, runs it as one batch, tells
each writer whether *its* row was written, and repeats; there is no timer and no lingering, so
one lone writer pays one commit and a crowd shares one. Rules (decision record 2):

* at most one row per payment in a batch, sorted, so that two lanes lock in the same order;
* only the writer whose token comes back from the statement goes on;
* a bad row fails alone: a failed batch is run again row by row, unless it is the server that fails;
* a commit whose answer was lost is not guessed: the connection is dropped, a further commit shows
  that this server may still commit, the rows are read again by their writer tokens, and what is
  not found is reported as in doubt.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Set
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import asyncpg
import msgspec
import structlog

from bailiwick.base.clock import boot_ns

ROWS_MAX = 256
QUEUE_MAX = 8_192
RETRIES_MAX = 4
GATHER_TURNS = 6
RECONNECT_S = 20.0
_TRANSIENT = (asyncpg.SerializationError, asyncpg.DeadlockDetectedError)
# Errors of the server after which the connection is gone, and with it the commit's answer.
_LOST = (
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.CannotConnectNowError,
)
# Errors of a server that can write nothing now, whatever the row: a full disk, no memory, a failing
# file, no right to write.
_NO_ROOM = (
    asyncpg.InsufficientResourcesError,
    asyncpg.PostgresSystemError,
    asyncpg.ReadOnlySQLTransactionError,
)

log = structlog.get_logger()


class Row(Protocol):
    """What a lane can write: a struct whose fields are the columns of its batch, in order."""

    __struct_fields__: ClassVar[tuple[str, ...]]

    @property
    def id(self) -> str: ...
    @property
    def writer(self) -> int: ...


class Written(msgspec.Struct, frozen=True):
    """A row's fate: whether it was written, and when its batch was begun (boot clock); ``tokens``:
    the writer tokens of all that its batch wrote."""

    done: bool
    begun_boot_ns: int
    tokens: Set[int] = frozenset()


class LaneFull(Exception):
    """No room, in the queue or in the database; nothing of this row was done."""


class WriteInDoubt(Exception):
    """The commit's answer was lost and the row is not there (yet): decide by reading again."""


class BadRow(Exception):
    """The database refuses this row for what it holds; nothing of it was written."""


RowT = TypeVar("RowT", bound=Row)
Waiting = tuple[RowT, "asyncio.Future[Written]"]
Verify = Callable[[asyncpg.Connection, list[Any]], Awaitable[set[int]]]
_columns: Callable[[Any], tuple[Any, ...]] = msgspec.structs.astuple


class Lane(Generic[RowT]):
    """One batcher with its own connection.

    ``sql`` takes the rows as an array of composites and the epoch, and returns the writer
    tokens of the rows that were written; ``lean`` does the same, and cheaper, for a batch in which
    no row has one of the fields ``seldom``. ``verify`` takes a list of rows and returns the writer
    tokens found in the tables: it decides what a commit did whose answer was lost. ``barrier`` is
    committed before that.
    """

    def __init__(
        self,
        name: str,
        sql: str,
        lean: str,
        connect: Callable[[], Awaitable[asyncpg.Connection]],
        verify: Verify,
        epoch: Callable[[], int],
        barrier: str,
        seldom: tuple[str, ...] = (),
    ) -> None:
        self.name = name
        self.batches = 0
        self.rows = 0
        self._begun_ns = 0
        self._last_ms = 0
        self._said_ns = 0
        self._sql = sql
        self._lean_sql = lean
        self._connect = connect
        self._verify = verify
        self._seldom = seldom
        self._places: tuple[int, ...] | None = None  # of those fields among the columns
        self._epoch = epoch
        self._barrier = barrier
        self._queue: deque[Waiting[RowT]] = deque()
        self._wake = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None  # asked once: it costs a system call
        self._task: asyncio.Task[None] | None = None
        self._connection: asyncpg.Connection | None = None
        self._statement: asyncpg.prepared_stmt.PreparedStatement | None = None
        self._lean: asyncpg.prepared_stmt.PreparedStatement | None = None
        self._backend_pid = 0
        self.doubtful = False
        """A commit's answer was lost, and none has come since: what shows may not be durable."""

    async def start(self) -> None:
        """Connect, prepare, and begin to take rows."""
        await self._open()
        self._task = asyncio.create_task(self._run(), name=f"lane-{self.name}")

    async def stop(self) -> None:
        """Finish the batch under way and close; what still waits is refused."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        while self._queue:
            self._queue.popleft()[1].cancel()
        if self._connection is not None:
            await self._connection.close()

    @property
    def waiting(self) -> int:
        """Rows that wait for the next batch."""
        return len(self._queue)

    @property
    def lag_ms(self) -> int:
        """How long the batch under way has taken so far, or else how long the last one took."""
        if self._begun_ns:
            return max(self._last_ms, (boot_ns() - self._begun_ns) // 1_000_000)
        return self._last_ms

    def write(self, row: RowT) -> "asyncio.Future[Written]":
        """Queue a row; the future tells whether it was written.

        Raises (through the future where not at once):
            LaneFull: nothing was done. WriteInDoubt: see there. BadRow: refused by the database.
        """
        if len(self._queue) >= QUEUE_MAX:
            raise LaneFull
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        future: asyncio.Future[Written] = self._loop.create_future()
        self._queue.append((row, future))
        self._wake.set()
        return future

    async def _run(self) -> None:
        while True:
            if not self._queue:
                self._wake.clear()
                await self._wake.wait()
            # Whoever is about to queue a row does so now. No time is waited for: an idle loop goes
            # round in microseconds, a busy one with those rows that would just miss the batch.
            for _ in range(GATHER_TURNS):
                await asyncio.sleep(0)
            batch = self._take()
            # A commit is never cancelled: the statement runs in a task of its own, and a stop
            # waits for it.
            self._begun_ns = boot_ns()
            task = asyncio.ensure_future(self._write_batch(batch))
            try:
                await asyncio.shield(task)
            except asyncio.CancelledError:
                await asyncio.gather(task, return_exceptions=True)
                raise
            except Exception as error:  # a lane never dies: whoever waits would wait for ever
                log.error("lane_defect", lane=self.name, error=error)
                self._drop()
                _fail(batch, WriteInDoubt(type(error).__name__))
            self._last_ms = (boot_ns() - self._begun_ns) // 1_000_000
            self._begun_ns = 0

    def _take(self) -> list[Waiting[RowT]]:
        """The next batch: first come first served, one row per payment, sorted by id."""
        queue = self._queue
        chosen: dict[str, Waiting[RowT]] = {}
        held: list[Waiting[RowT]] = []
        while queue and len(chosen) < ROWS_MAX:
            item = queue.popleft()
            identifier = item[0].id
            if identifier in chosen:
                held.append(item)
            else:
                chosen[identifier] = item
        queue.extendleft(reversed(held))
        return [chosen[key] for key in sorted(chosen)]

    async def _write_batch(self, batch: list[Waiting[RowT]]) -> None:
        for _ in range(RETRIES_MAX):
            begun = boot_ns()
            try:
                tokens = await self._execute(batch)
            except _TRANSIENT:
                continue
            except (asyncpg.PostgresError, BadRow) as error:
                if isinstance(error, _LOST):
                    await self._settle_lost(batch, error)
                elif isinstance(error, _NO_ROOM):
                    self._say_no_room(type(error).__name__)
                    _fail(batch, LaneFull(type(error).__name__))
                else:
                    await self._one_by_one(batch, error)
                return
            except Exception as error:  # the driver gave up: the server may have committed
                await self._settle_lost(batch, error)
                return
            for row, future in batch:
                if not future.done():
                    future.set_result(Written(row.writer in tokens, begun, tokens))
            return
        _fail(batch, LaneFull("the database keeps refusing the batch as conflicting"))

    async def _execute(self, batch: list[Waiting[RowT]]) -> set[int]:
        if self._connection is not None and self._connection.is_closed():
            self._drop()  # cut while nothing was under way: nothing of this batch is in doubt
        if self._statement is None:
            await self._reopen()
        assert self._statement is not None
        self.batches += 1
        self.rows += len(batch)
        rows = [_columns(row) for row, _ in batch]
        if self._places is None:
            fields = batch[0][0].__struct_fields__
            self._places = tuple(fields.index(name) for name in self._seldom)
        whole = any(row[place] is not None for row in rows for place in self._places)
        found = await (self._statement if whole else self._lean or self._statement).fetch(
            rows, self._epoch()
        )
        if found:  # what was written is a commit like the barrier
            self.doubtful = False
        return {record[0] for record in found}

    async def _one_by_one(self, batch: list[Waiting[RowT]], error: Exception) -> None:
        """A statement is atomic: after an error nothing of the batch was written."""
        if len(batch) == 1:
            log.error("bad_row", lane=self.name, id=batch[0][0].id, error=type(error).__name__)
            _fail(batch, BadRow(str(error)))
            return
        for item in batch:
            await self._write_batch([item])

    def _say_no_room(self, error: str) -> None:
        """Each second at most: the log may lie on the very disk that is full."""
        now = boot_ns()
        if now - self._said_ns > 10**9:
            self._said_ns = now
            log.error("lane_no_room", lane=self.name, error=error)

    async def _settle_lost(self, batch: list[Waiting[RowT]], error: Exception) -> None:
        """The connection broke under a batch: read again by writer token, then decide."""
        self.doubtful = True
        log.warning("lane_connection_lost", lane=self.name, error=type(error).__name__)
        self._drop()
        begun = boot_ns()
        try:
            await self._reopen()
            assert self._connection is not None
            # Commits that wait for a synchronous standby show on their own server as soon as the
            # wait is broken off. A server that has lost its standby, perhaps to be replaced by
            # it, so shows rows that nobody else will ever have: it does not get past this.
            await self._connection.execute(self._barrier)
            self.doubtful = False
            tokens = await self._verify(self._connection, [row for row, _ in batch])
        except Exception as again:
            self._drop()
            _fail(batch, WriteInDoubt(type(again).__name__))
            return
        for row, future in batch:
            if future.done():
                continue
            if row.writer in tokens:
                # How long ago it was written is not known: a permit from it has run out.
                future.set_result(Written(True, begun - 10**15, tokens))
            else:
                future.set_exception(WriteInDoubt(type(error).__name__))

    async def _open(self) -> None:
        self._connection = await self._connect()
        self._backend_pid = self._connection.get_server_pid()
        statement = await self._connection.prepare(self._sql)
        self._lean = await self._connection.prepare(self._lean_sql)
        # Empty batches: they end the transaction that preparing leaves open (and with it the
        # statement timeout, which would otherwise strike the first real batch), and they plan.
        for each in (statement, self._lean):
            await each.fetch([], self._epoch())
        self._statement = statement

    async def _reopen(self) -> None:
        """Connect again, waiting for a server that restarts; end our lost backend first.

        A backend that lost its client may still be about to commit: what it wrote could appear
        after we looked. So it is ended before the tables are read.
        """
        lost = self._backend_pid
        deadline = asyncio.get_running_loop().time() + RECONNECT_S
        delay = 0.05
        while True:
            try:
                await self._open()
                break
            except Exception:  # refused, starting up, cut off: whatever it is, try again
                self._drop()
                if asyncio.get_running_loop().time() > deadline:
                    raise
                await asyncio.sleep(delay)
                delay = min(delay * 2, 0.5)
        assert self._connection is not None
        if lost and lost != self._backend_pid:
            await end_backend(self._connection, lost)

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
        self._connection = None
        self._statement = None
        self._lean = None


async def end_backend(connection: asyncpg.Connection, pid: int) -> None:
    """End one of our own server processes and wait until it is gone."""
    await connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE pid = $1 AND usename = current_user AND application_name = 'bailiwick-lane'",
        pid,
    )
    for _ in range(100):
        if not await connection.fetchval("SELECT 1 FROM pg_stat_activity WHERE pid = $1", pid):
            return
        await asyncio.sleep(0.02)
    raise asyncpg.CannotConnectNowError("an earlier connection's batch has not ended")


def _fail(batch: "list[Waiting[RowT]]", error: Exception) -> None:
    for _, future in batch:
        if not future.done():
            future.set_exception(error)
