"""One request, one effect: who asks, for what, under which key, and what they were told.

A key is claimed in the same commit as its effect, and the first definite answer is stored with
it; a repetition gets that answer byte for byte. While a request is under way in this process,
its repetitions wait for the same answer; otherwise they get the object as it is.
"""

import asyncio
from collections.abc import Awaitable, Callable

import msgspec

from bailiwick.base.errors import ApiError
from bailiwick.base.keys import Named, key_identity
from bailiwick.idempotency import keys
from bailiwick.idempotency.rows import Claim, StoredKey
from bailiwick.store.database import Store
from bailiwick.store.lanes import BadRow, LaneFull, WriteInDoubt, Written
from bailiwick.topology.merchants import Merchant


class IdempotentRequest(msgspec.Struct, frozen=True):
    """One idempotent request: on whose behalf, under which key, for what; ``identity``: the key's,
    worked out once; ``region``: of the access process that asks, as the number of a node."""

    merchant: Merchant
    livemode: bool
    key: str
    request_hash: str
    operation: str
    expand: list[str]
    request_id: str = ""
    region: int = 0
    identity: str = ""

    def __post_init__(self) -> None:
        identity = key_identity(self.merchant.id, self.livemode, self.key)
        msgspec.structs.force_setattr(self, "identity", identity)

    @property
    def named(self) -> Named:
        """What of it is told to who only refuses it."""
        return Named(self.merchant.id, self.livemode, self.identity, self.request_hash)

    def claim(self, object_id: str) -> Claim:
        """The key as it is claimed for an object."""
        return Claim(
            self.identity,
            self.key,
            self.request_hash,
            self.operation,
            object_id,
            packed(self.expand),
        )


class Answer(msgspec.Struct, frozen=True):
    """What the client gets."""

    status: int
    body: bytes | msgspec.Raw
    replayed: bool = False


class Refused(Exception):
    """This node refused the key for ever: the request may be served elsewhere.

    Attributes:
        reason: overloaded, draining, no_gateway (none is open) or unsupported (none ever could).
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


async def first_write(writing: Awaitable[Written]) -> Written:
    """The first write of a request: where its fate is unknown, nothing is sent, and it may come
    again.

    Should it turn out to have been committed, the permit is never used, and the resolver closes
    the attempt.

    Raises:
        ApiError: 503, its fate is unknown or there is no room; 500, the row is bad.
    """
    try:
        return await writing
    except (WriteInDoubt, LaneFull):
        raise ApiError.unavailable(
            "The payment could not be written. Retry with the same Idempotency-Key."
        ) from None
    except BadRow:
        raise ApiError.defect() from None


def packed(expand: list[str]) -> str | None:
    """The wish for expansion as it is stored with the key."""
    return ",".join(expand) or None


def unpacked(expand: str | None) -> list[str]:
    """The inverse of ``packed``."""
    return expand.split(",") if expand else []


async def _done_within(task: "asyncio.Task[Answer]", seconds: float) -> bool:
    """Wait for a task, but not for ever, without cancelling it (``asyncio.wait``, but lean)."""
    if task.done():
        return True
    waiter: asyncio.Future[None] = task.get_loop().create_future()

    def wake(_: object = None) -> None:
        if not waiter.done():
            waiter.set_result(None)

    timer = task.get_loop().call_later(seconds, wake)
    task.add_done_callback(wake)
    try:
        await waiter
    finally:
        timer.cancel()
        task.remove_done_callback(wake)
    return task.done()


def _look_at(task: "asyncio.Task[Answer]") -> None:
    """Whoever asked may have gone: the outcome is in the database, not in this exception."""
    if not task.cancelled():
        task.exception()


class Running(msgspec.Struct, frozen=True):
    """A request under way in this process."""

    request_hash: str
    task: "asyncio.Task[Answer]"


class Idempotency:
    """Joins repetitions of what is under way, replays what has ended.

    ``in_progress`` renders the object of a key that has no answer yet.
    """

    def __init__(
        self,
        store: Store,
        deadline_s: float,
        in_progress: Callable[[IdempotentRequest, StoredKey], Awaitable[Answer]],
    ) -> None:
        self._store = store
        self._deadline_s = deadline_s
        self._in_progress = in_progress
        self._running: dict[str, Running] = {}

    @property
    def running(self) -> int:
        """Requests under way."""
        return len(self._running)

    def under_way(self, identity: str) -> str | None:
        """The hash of the request with this key that is under way in this process, if any."""
        running = self._running.get(identity)
        return None if running is None else running.request_hash

    async def once(self, asked: IdempotentRequest, work: Callable[[], Awaitable[Answer]]) -> Answer:
        """Do ``work`` for a key, or wait for who does it already.

        The work goes on when the client goes away or the deadline passes; what is not definite
        by then is answered as it is.

        Raises:
            ApiError: 400 for a key under way with another request; what ``work`` raises.
            Refused: the key was refused here.
        """
        running = self._running.get(asked.identity)
        joined = running is not None
        if running is None:
            task = asyncio.ensure_future(self._work(asked, work))
            task.add_done_callback(_look_at)
            running = self._running[asked.identity] = Running(asked.request_hash, task)
        elif running.request_hash != asked.request_hash:
            raise ApiError.mismatch()
        if not await _done_within(running.task, self._deadline_s):
            return await self._unfinished(asked)
        answer = running.task.result()
        return msgspec.structs.replace(answer, replayed=True) if joined else answer

    async def _work(
        self, asked: IdempotentRequest, work: Callable[[], Awaitable[Answer]]
    ) -> Answer:
        try:
            return await work()
        finally:
            del self._running[asked.identity]

    async def replay(self, asked: IdempotentRequest) -> Answer | None:
        """What the key was told before; None when it was never claimed here.

        Raises:
            ApiError: 400, the key was used for another request.
            Refused: the key was refused here.
        """
        stored = await keys.find(self._store, asked.identity)
        if stored is None:
            return None
        if stored.request_hash != asked.request_hash:
            raise ApiError.mismatch()
        if stored.refused is not None:
            raise Refused(stored.refused)
        if stored.answer_status is not None and stored.answer_body is not None:
            return Answer(stored.answer_status, stored.answer_body.encode(), replayed=True)
        return await self._in_progress(asked, stored)

    async def _unfinished(self, asked: IdempotentRequest) -> Answer:
        answer = await self.replay(asked)
        if answer is None:
            raise ApiError.conflict(
                "The request is still waiting for its turn. Retry with the same Idempotency-Key."
            )
        return answer
