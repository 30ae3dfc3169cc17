"""Turns by merchant: what one merchant asks of this node does not hold up what another asks.

Requests are taken in the order in which they come, and all those under way share the processor and
the commits. So whoever asks much makes everybody slow, long before the node is overloaded. While
several merchants ask, each therefore has only its share of those at work; what it sends beyond that
waits here, in its own queue, and is the first to be refused. A merchant that is alone has the
whole node: more requests at once mean larger batches, which cost less each.

A request that waits for its provider is not at work, and keeps nobody from a turn.
"""

import asyncio
import time
from collections import deque
from contextvars import ContextVar
from typing import Self

TOGETHER = 32
"""Requests at work at once, shared out evenly among the merchants that have any."""
SHARE_LEAST = 8
"""No share is smaller, however many merchants there are."""
SHARED_NS = 1_000_000_000
"""How long after its last request another merchant counts as there."""


REST = 4.0
"""How many times as long as it worked long work rests, while several merchants ask."""


class _Merchant:
    """One merchant's requests: ``open``, of which ``at_work``; the others wait, or are away."""

    __slots__ = ("at_work", "open", "waiting")

    def __init__(self) -> None:
        self.open = 0
        self.at_work = 0
        self.waiting: deque[asyncio.Future[None]] = deque()


class Turn:
    """One request's turn, from ``Turns.begin`` to ``end``.

    Attributes:
        full: it did not come: so many of the merchant's requests wait that one more would wait too
            long, and this one is refused, at little cost.
    """

    __slots__ = ("_merchant", "_name", "_working", "full", "turns")

    def __init__(self, turns: "Turns", name: str, merchant: _Merchant) -> None:
        self.turns = turns
        self._name = name
        self._merchant = merchant
        self._working = self.full = False

    async def come(self, waiting_most: int) -> None:
        """Wait for it, unless ``waiting_most`` of this merchant's requests wait already."""
        merchant = self._merchant
        busy = merchant.at_work >= SHARE_LEAST and merchant.at_work >= self.turns.share
        if busy or merchant.waiting:
            if len(merchant.waiting) >= waiting_most:
                self.full = True
                return
            future = asyncio.get_running_loop().create_future()
            merchant.waiting.append(future)
            try:
                await future
            except asyncio.CancelledError:
                if future.done() and not future.cancelled():
                    merchant.at_work -= 1  # it had just been given its turn
                    self.turns.pass_on(merchant)
                raise
        else:
            merchant.at_work += 1
        self._working = True

    def leave(self) -> None:
        """It waits for its provider."""
        if self._working:
            self._working = False
            merchant = self._merchant
            merchant.at_work -= 1
            if merchant.waiting:
                self.turns.pass_on(merchant)

    def back(self) -> None:
        """It goes on, whether others of its merchant have come meanwhile or not."""
        if not self._working:
            self._working = True
            self._merchant.at_work += 1

    def end(self) -> None:
        """It is answered."""
        self.leave()
        self.turns.ended(self._name, self._merchant)


class Turns:
    """The turns at one process. Times by whatever clock is handed in.

    Attributes:
        alone: held by long work, of which there is one at a time.
    """

    def __init__(self) -> None:
        self.alone = asyncio.Lock()
        self._merchants: dict[str, _Merchant] = {}
        self._latest = ""
        self._changed_ns: int | None = None
        self._now_ns = 0

    @property
    def shared(self) -> bool:
        """Whether several merchants have asked lately."""
        return self._changed_ns is not None and self._now_ns - self._changed_ns < SHARED_NS

    @property
    def share(self) -> int:
        """Requests of one merchant that may be at work at once."""
        if not self.shared:
            return 1 << 30
        return max(SHARE_LEAST, TOGETHER // max(2, len(self._merchants)))

    def begin(self, name: str, now_ns: int) -> Turn:
        """A request of a merchant has come."""
        self._now_ns = now_ns
        if name != self._latest:
            if self._latest:
                self._changed_ns = now_ns
            self._latest = name
        merchant = self._merchants.get(name)
        if merchant is None:
            merchant = self._merchants[name] = _Merchant()
        merchant.open += 1
        return Turn(self, name, merchant)

    def pass_on(self, merchant: _Merchant) -> None:
        """Let those go on for whom there is room now."""
        waiting, share = merchant.waiting, self.share
        while waiting and merchant.at_work < share:
            future = waiting.popleft()
            if not future.done():
                merchant.at_work += 1
                future.set_result(None)

    def ended(self, name: str, merchant: _Merchant) -> None:
        """One request less; a merchant without any is forgotten."""
        merchant.open -= 1
        if not merchant.open:
            del self._merchants[name]


class Breather:
    """Long work in pieces, such as the rendering of a large list: between them others go on.

    While several merchants ask, it rests for some times as long as it worked, and one such work
    is done at a time: all lists together then take a small part of the processor. Used as an
    asynchronous context around all of it.
    """

    __slots__ = ("_alone", "_since")

    def __init__(self) -> None:
        self._alone: asyncio.Lock | None = None
        self._since = 0.0

    async def __aenter__(self) -> Self:
        turn = current()
        if turn is not None and turn.turns.shared:
            self._alone = turn.turns.alone
            await self._alone.acquire()
        self._since = time.perf_counter()
        return self

    async def rest(self) -> None:
        """Between two pieces."""
        worked = time.perf_counter() - self._since
        await asyncio.sleep(0.0 if self._alone is None else worked * REST)
        self._since = time.perf_counter()

    async def __aexit__(self, *_: object) -> None:
        if self._alone is not None:
            self._alone.release()


_turn: ContextVar[Turn | None] = ContextVar("turn", default=None)


def current() -> Turn | None:
    """The turn of the request on whose behalf this task runs."""
    return _turn.get()


def holds(turn: Turn | None) -> None:
    """This task runs on behalf of a request."""
    _turn.set(turn)
