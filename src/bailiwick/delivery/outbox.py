"""The outbox as a relay reads it: claimed, in the order of transactions, below a horizon.

Ids and sequences do not tell the order of commits: a reader that remembers the highest one it
has seen misses what an older transaction commits later. Here each event carries its transaction,
and a pass reads only transactions below the oldest one that still runs, so nothing can appear
behind it.
"""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import msgspec

from bailiwick.store.statements import statement

# One index look-up a row whatever the tables' size; generic plans think too well of scans.
_SETTINGS = {
    "application_name": "bailiwick-relay",
    "jit": "off",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    # A place that is lost with the machine means that a few events are sent twice.
    "synchronous_commit": "off",
    # A claim whose process hangs must not hold back the clean-up of the whole database.
    "idle_in_transaction_session_timeout": "15s",
}
BACKLOG_MAX = 10_000
"""Up to so many events that wait are counted."""


class Position(msgspec.Struct, frozen=True):
    """What has been read: everything up to here.

    While ``sweeping`` the order is (subject, seq), and following begins at ``xact`` afterwards.
    """

    sweeping: bool = True
    xact: int = 0
    subject: str = ""
    seq: int = 0


class Claim(msgspec.Struct, frozen=True):
    """The outbox is ours until the transaction ends.

    Attributes:
        here: the cluster in which we are; ``origin``: the one in which ``position`` counts.
        stream, stream_seq: which stream took the last event, under which number.
        horizon: transactions below it have all ended.
        busy: one above it has not, so that there may be more at any moment.
    """

    origin: str | None
    position: Position
    stream: str | None
    stream_seq: int
    here: str
    horizon: int
    busy: bool


class Followed(msgspec.Struct, frozen=True):
    """That there is an event, and where it stands."""

    xact: int
    subject: str
    seq: int


class OutboxRow(Followed, frozen=True):
    """An event with the guarded columns of its payment as they are now, and the first key."""

    id: str
    type: str
    merchant: str
    livemode: bool
    created_ms: int
    version: int
    state: str
    amount: int
    currency: str
    amount_capturable: int
    amount_received: int
    amount_refunded: int
    attempts: int
    charge_attempt: str | None
    epoch: int
    payment_created_ms: int
    key: str | None


class Backlog(msgspec.Struct, frozen=True):
    """What has not been sent: how many (counted to a bound), since when, and parked for good."""

    waiting: int = 0
    oldest_ms: int | None = None
    parked: int = 0


class Consumer:
    """One connection to one consumer's place in the outbox. Not for several tasks at once."""

    def __init__(self, dsn: str, consumer: str) -> None:
        self._dsn = dsn
        self._consumer = consumer
        self._connection: asyncpg.Connection | None = None

    async def close(self) -> None:
        """Disconnect; the next use connects again."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()

    async def _open(self) -> asyncpg.Connection:
        if self._connection is None or self._connection.is_closed():
            self._connection = await asyncpg.connect(
                self._dsn, timeout=5, command_timeout=15, server_settings=_SETTINGS
            )
            await self._connection.execute(statement("relay_ensure"), self._consumer)
        return self._connection

    @contextlib.asynccontextmanager
    async def claimed(self, epoch: int) -> AsyncIterator[Claim | None]:
        """Hold the outbox for the time of one pass; None while another process does, or while
        the node is fenced.

        Raises:
            OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError.
        """
        connection = await self._open()
        async with connection.transaction():
            row = await connection.fetchrow(statement("relay_claim"), self._consumer, epoch)
            yield None if row is None else _claim_of(row)

    async def advance(
        self, here: str, position: Position, stream: str, stream_seq: int, published: int
    ) -> None:
        """Write down what has been sent, within the claim."""
        connection = await self._open()
        await connection.execute(
            statement("relay_advance"),
            self._consumer,
            here,
            position.sweeping,
            position.xact,
            position.subject,
            position.seq,
            stream,
            stream_seq,
            published,
        )

    async def summarize(self) -> None:
        """Keep the block-range index short of nothing; skipped while a vacuum has the table."""
        connection = await self._open()
        with contextlib.suppress(asyncpg.LockNotAvailableError):
            async with connection.transaction():
                await connection.execute("SET LOCAL lock_timeout = '50ms'")
                await connection.execute(statement("relay_summarize"))


class Outbox(Consumer):
    """The relay's: payments' events, with what goes to the broker beside them."""

    async def follow(self, after: Position, below: int, limit: int) -> list[OutboxRow]:
        """Events of transactions from ``after`` to ``below``, in their order."""
        return await self._rows("relay_follow", after.xact, after.subject, after.seq, below, limit)

    async def sweep(self, after: Position, limit: int) -> list[OutboxRow]:
        """Events payment by payment."""
        return await self._rows("relay_sweep", after.subject, after.seq, limit)

    async def _rows(self, name: str, *arguments: Any) -> list[OutboxRow]:
        connection = await self._open()
        return [OutboxRow(*row) for row in await connection.fetch(statement(name), *arguments)]

    async def parked(self, events: list[str]) -> set[str]:
        """Which of these events are passed over."""
        connection = await self._open()
        rows = await connection.fetch(statement("relay_trouble"), self._consumer, events)
        return {row["event"] for row in rows if row["parked"]}

    async def refused(self, row: OutboxRow, reason: str, tries_max: int) -> bool:
        """Note that the broker refuses an event; true when it is parked from now on."""
        connection = await self._open()
        return bool(
            await connection.fetchval(
                statement("relay_refused"),
                self._consumer,
                row.id,
                row.subject,
                row.seq,
                reason,
                tries_max,
            )
        )

    async def backlog(self) -> Backlog:
        """What waits, without a claim."""
        connection = await self._open()
        row = await connection.fetchrow(statement("relay_backlog"), self._consumer, BACKLOG_MAX)
        assert row is not None, "an aggregate has one row"
        return Backlog(*row)


def _claim_of(row: asyncpg.Record) -> Claim:
    position = Position(row["sweeping"], row["xact"], row["subject"], row["seq"])
    return Claim(
        row["origin"],
        position,
        row["stream"],
        row["stream_seq"],
        row["here"],
        row["horizon"],
        row["busy"],
    )
