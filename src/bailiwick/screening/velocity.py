"""How often and how much: counted in the node's database, exact however many ask at once.

A limit holds within any span of its length: time is cut into slots of a small part of that, and a
slot counts until all of it is over. All that ask at the same time share one transaction, and one
transaction counts at a time, so each sees what those before it have counted. What is refused is
not counted. Who is counted stands in the database only as a keyed hash.
"""

import asyncio
import hmac
from collections import OrderedDict
from collections.abc import Sequence

import asyncpg
import msgspec
import structlog

from bailiwick.base.errors import ApiError
from bailiwick.runtime.crash import crash_point
from bailiwick.runtime.database_errors import DATABASE_ERRORS
from bailiwick.screening.facts import Facts
from bailiwick.store.database import Store
from bailiwick.store.lanes import WriteInDoubt
from bailiwick.store.statements import statement
from bailiwick.topology.screening import Limit

BATCH_MAX = 256
SLOTS = 3_600
"""Into how many slots a span is cut."""
REMEMBERED_MAX = 65_536
"""Of how many confirmations a process knows that they were counted."""
WAITING_MAX = 4_096
FORGET_AT_ONCE = 1_000
FORGET_EVERY_S = 60.0
_DOMAIN = b"bailiwick.velocity"
log = structlog.get_logger()


class _Count(msgspec.Struct, frozen=True):
    """What one limit counts of one confirmation."""

    limit: Limit
    counter: bytes
    amount: int

    @property
    def slot_ms(self) -> int:
        return max(1_000, self.limit.within_ms // SLOTS)


class _Asked(msgspec.Struct, frozen=True):
    reference: str
    counts: tuple[_Count, ...]
    told: "asyncio.Future[str | None]"


def applies(limit: Limit, facts: Facts) -> bool:
    """Whether a limit counts this at all. Pure."""
    return limit.currency in (None, facts.currency) and facts.of(limit.by) is not None


class Velocity:
    """Counts at one node; ``secret``: by which the counted are hashed."""

    def __init__(self, store: Store, secret: bytes) -> None:
        self._store = store
        self._key = hmac.digest(secret, _DOMAIN, "sha256")
        self._waiting: list[_Asked] = []
        self._counted: OrderedDict[str, None] = OrderedDict()
        self._task: asyncio.Task[None] | None = None

    async def exceeded(self, facts: Facts, limits: Sequence[Limit]) -> str | None:
        """Count a confirmation, unless one of the limits would be exceeded: that one's name.

        Raises:
            ApiError: 503, it cannot be counted now; nothing was charged.
        """
        counts = tuple(self._counts(facts, limits))
        if not counts or facts.reference in self._counted:
            return None
        if len(self._waiting) >= WAITING_MAX:
            raise _later()
        told: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Asked(facts.reference, counts, told))
        if self._task is None:
            self._task = asyncio.create_task(self._work())
        return await told

    def _counts(self, facts: Facts, limits: Sequence[Limit]) -> list[_Count]:
        found = []
        for each in limits:
            if not applies(each, facts):
                continue
            value = facts.of(each.by)
            mode = "live" if facts.livemode else "test"
            said = f"{facts.merchant}\0{mode}\0{each.name}\0{each.by}\0{value}".encode()
            counter = hmac.digest(self._key, said, "sha256")[:16]
            found.append(_Count(each, counter, 1 if each.currency is None else facts.amount))
        return found

    async def _work(self) -> None:
        """Count for all that wait, one transaction after the other, until nobody does."""
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:BATCH_MAX], self._waiting[BATCH_MAX:]
                try:
                    names = await self._together(batch)
                except (*DATABASE_ERRORS, WriteInDoubt) as error:
                    log.warning("velocity_not_counted", error=type(error).__name__)
                    names = None
                except Exception as defect:  # who waits must be told, whatever it was
                    log.error("velocity_defect", error=defect)
                    names = None
                for place, each in enumerate(batch):
                    if each.told.done():
                        continue  # nobody waits any more
                    if names is None:
                        each.told.set_exception(_later())
                    else:
                        each.told.set_result(names[place])
        finally:
            self._task = None

    async def _together(self, batch: list[_Asked]) -> list[str | None]:
        """For each, the limit that it would exceed; the others are counted."""
        every = {each.counter: each for asked in batch for each in asked.counts}
        async with self._store.transaction() as connection:
            if not await connection.fetch(statement("velocity_lock"), self._store.epoch()):
                raise asyncpg.InterfaceError("this database is fenced")
            rows = await connection.fetch(
                statement("velocity_read"),
                list(every),
                [each.limit.within_ms for each in every.values()],
                [each.slot_ms for each in every.values()],
            )
            now = rows[0]["ms"]
            so_far = {counter: row["amount"] for counter, row in zip(every, rows, strict=True)}
            names, new = self._decide(batch, so_far)
            if new:
                await connection.execute(
                    statement("velocity_count"),
                    list(new),
                    [now // every[each].slot_ms * every[each].slot_ms for each in new],
                    list(new.values()),
                    [now + every[each].limit.within_ms + every[each].slot_ms for each in new],
                )
        crash_point("velocity.counted")
        for asked, name in zip(batch, names, strict=True):
            if name is None:
                self._remember(asked.reference)
        return names

    def _decide(
        self, batch: list[_Asked], so_far: dict[bytes, int]
    ) -> tuple[list[str | None], dict[bytes, int]]:
        """One after the other, as if each had come alone: what it exceeds, and what is new."""
        names: list[str | None] = []
        new: dict[bytes, int] = {}
        counted: set[str] = set()
        for asked in batch:
            again = asked.reference in counted or asked.reference in self._counted
            over = next(
                (
                    each.limit.name
                    for each in asked.counts
                    if so_far[each.counter] + each.amount > each.limit.most
                ),
                None,
            )
            names.append(None if again else over)
            if over is None and not again:
                counted.add(asked.reference)
                for each in asked.counts:
                    so_far[each.counter] += each.amount
                    new[each.counter] = new.get(each.counter, 0) + each.amount
        return names, new

    def _remember(self, reference: str) -> None:
        self._counted[reference] = None
        if len(self._counted) > REMEMBERED_MAX:
            self._counted.popitem(last=False)

    async def step(self) -> float:
        """Forget what no limit needs any more; seconds until the next time."""
        gone = await self._store.rows("velocity_forget", FORGET_AT_ONCE)
        return 0.0 if len(gone) == FORGET_AT_ONCE else FORGET_EVERY_S


def _later() -> ApiError:
    return ApiError.unavailable(
        "It could not be counted against the limits of this merchant now. Nothing was charged; "
        "retry with the same Idempotency-Key."
    )
