"""What an operator reads and writes in a node's database: fence, open attempts, standbys."""

from __future__ import annotations

from typing import Final

import asyncpg
import msgspec

from bailiwick import resources
from bailiwick.control.plans import ControlError
from bailiwick.interlink.resource import copied
from bailiwick.store.database import Fence
from bailiwick.store.statements import statement

PERMIT_S: Final = 5.0
"""How long after a fence what was permitted before may still be sent (`settle.PERMIT_NS`)."""
FENCE_S: Final = 20.0
_COUNT_S: Final = 30.0

_RETRY_MS: Final = 100


class Open(msgspec.Struct, frozen=True):
    """Attempts without a definite outcome.

    Attributes:
        under_way: permitted or unknown: the node ends them by itself.
        pending: waiting for a payer or a provider, refunds apart.
        refunds: refunds that the provider has not decided.
    """

    under_way: int = 0
    pending: int = 0
    refunds: int = 0

    @property
    def total(self) -> int:
        return self.under_way + self.pending + self.refunds

    def words(self) -> str:
        return (
            f"{self.under_way} under way, {self.pending} pending at payer or provider, "
            f"{self.refunds} refunds pending"
        )


class Remaining(msgspec.Struct, frozen=True):
    """What people may still come back for, counted over all payments."""

    unconfirmed: int
    action: int
    capture: int
    refunds: int
    deliveries: int
    reviews: int

    def words(self) -> list[str]:
        """One line for each that there is."""
        said = {
            "wait for their payer (requires_action)": self.action,
            "hold money that was not captured (requires_capture)": self.capture,
            "were created and never confirmed": self.unconfirmed,
        }
        lines = [f"{count} payments {what}" for what, count in said.items() if count]
        others = {
            "refunds are pending": self.refunds,
            "events are still owed to webhook endpoints": self.deliveries,
            "reviews are open: bailiwick reviews": self.reviews,
        }
        return lines + [f"{count} {what}" for what, count in others.items() if count]


class StandbyView(msgspec.Struct, frozen=True):
    """A standby as it sees itself. ``receiver``: None where the role may not see it."""

    follows: bool
    unapplied_bytes: int
    receiver: str | None
    applied_ms: int | None


class Standby(msgspec.Struct, frozen=True):
    """A standby as its primary sees it. States: None where the role may not see them."""

    name: str
    state: str | None
    sync_state: str | None
    behind_bytes: int | None


async def fence_of(connection: asyncpg.Connection, number: int) -> Fence:
    """The fence row. Raises ControlError if the database is another node's."""
    try:
        row = await connection.fetchrow(statement("fence_read"))
    except asyncpg.UndefinedTableError:
        row = None
    if row is None:
        raise ControlError("this database is no node's: bailiwick migrate --dsn DSN --node N")
    found = Fence(*row)
    if found.node != number:
        raise ControlError(f"this is the database of node {found.node}, not of {number}")
    return found


async def close_fence(connection: asyncpg.Connection, epoch: int) -> Fence:
    """Set the fence. Waits for the batches under way. Raises ControlError."""
    try:
        row = await connection.fetchrow(statement("fence_close"), epoch, timeout=FENCE_S)
    except TimeoutError:
        raise ControlError(
            f"the fence was not confirmed within {FENCE_S:.0f} s: a batch is stuck, or the server "
            "waits for a standby that is away. It may be written or not: repeat, or --promote"
        ) from None
    assert row is not None
    return Fence(*row)


async def open_fence(connection: asyncpg.Connection, epoch: int) -> Fence:
    """Let processes of this epoch and later write again."""
    row = await connection.fetchrow(statement("fence_open"), epoch)
    assert row is not None
    return Fence(*row)


async def drain_here(connection: asyncpg.Connection, draining: bool) -> Fence:
    """Have the node refuse new payments by tombstone, or no longer."""
    row = await connection.fetchrow(statement("fence_drain"), draining)
    assert row is not None
    return Fence(*row)


async def open_attempts(connection: asyncpg.Connection) -> Open:
    """How much is open now; cheap."""
    under_way = pending = refunds = 0
    for operation, state, count in await connection.fetch(statement("attempts_open")):
        if state != "pending":
            under_way += count
        elif operation == "refund":
            refunds += count
        else:
            pending += count
    return Open(under_way, pending, refunds)


async def remaining(connection: asyncpg.Connection) -> Remaining | None:
    """What remains, over all payments; None when counting takes too long."""
    try:
        row = await connection.fetchrow(statement("remaining"), timeout=_COUNT_S)
    except TimeoutError:
        return None
    assert row is not None
    return Remaining(*row)


async def is_new(connection: asyncpg.Connection) -> bool:
    """Whether nothing was ever paid here."""
    return not await connection.fetchval(statement("anything_kept"))


async def standby_view(connection: asyncpg.Connection) -> StandbyView:
    """How a standby stands."""
    row = await connection.fetchrow(statement("standby_view"))
    assert row is not None
    return StandbyView(*row)


async def standbys(connection: asyncpg.Connection) -> list[Standby]:
    """A primary's standbys."""
    return [Standby(*row) for row in await connection.fetch(statement("standbys"))]


async def promote_over(connection: asyncpg.Connection, name: str, *, timeout: float = 30.0) -> None:
    """Make a standby a primary that waits for no standby of its own, over a connection that may.

    Raises ControlError, asyncpg.InsufficientPrivilegeError.
    """
    # The copy has its primary's settings, this one included: it would wait for itself.
    await connection.execute("ALTER SYSTEM RESET synchronous_standby_names")
    # Between two tries to reach its lost primary it would not see that it is to be promoted.
    await connection.execute(f"ALTER SYSTEM SET wal_retrieve_retry_interval = {_RETRY_MS}")
    await connection.execute("SELECT pg_reload_conf()")
    seconds = max(1, round(timeout))
    if not await connection.fetchval("SELECT pg_promote(true, $1)", seconds, timeout=seconds + 5):
        raise ControlError(f"{name} was not promoted within {seconds} s; see its log")
    await connection.execute("ALTER SYSTEM RESET wal_retrieve_retry_interval")
    await connection.execute("SELECT pg_reload_conf()")


async def promote(connection: asyncpg.Connection) -> None:
    """Make a standby a primary that waits for no standby of its own. Raises ControlError."""
    try:
        await promote_over(connection, "the standby")
    except asyncpg.InsufficientPrivilegeError:
        raise ControlError(
            "standby_dsn: this role may not promote; name a superuser, or promote with Patroni and "
            "fence the new primary"
        ) from None


async def copy_everywhere(source: asyncpg.Connection, target: asyncpg.Connection) -> int:
    """Bring the rows of which each node has all from one node to another; how many it lacked."""
    brought = 0
    for table in copied(resources.every()):
        for row in await source.fetch(statement(f"{table}_every")):
            if await target.fetchval(statement(f"{table}_copy"), row[0], row[2]) is not None:
                brought += 1
    return brought
