"""Answers that do not end: server-sent events, bounded in number, time and memory.

See https://html.spec.whatwg.org/multipage/server-sent-events.html.
"""

import asyncio
import contextlib
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from typing import NamedTuple

import msgspec
from falcon.asgi import SSEvent

from bailiwick.base.errors import ApiError

STREAMS_MAX = 64
"""Of one process."""
STREAMS_OF_ONE = 4
"""Of one merchant and mode, at one process."""
EVERY_S = 1.0
"""How often is looked for something new."""
SAID_EVERY_S = 15.0
"""How often a stream that has nothing to tell says where it has come to."""
LIFE_S = 3600.0
"""After which a client comes again: a key or an address may have changed hands."""
RETRY_MS = 2_000
"""How long clients wait before they come again."""


class Round(NamedTuple):
    """What a look brought: events, each with its id; where that has come to; whether there is more
    at once; a word of what is missing."""

    events: list[tuple[str, bytes]]
    at: str
    more: bool = False
    word: str = ""


Look = Callable[[], Awaitable[Round]]
"""Looks for what is new. Raises ApiError: the stream ends with that."""


class Streams:
    """All streams of one process."""

    def __init__(self, most: int = STREAMS_MAX, of_one: int = STREAMS_OF_ONE) -> None:
        self._most = most
        self._of_one = of_one
        self._open: Counter[str] = Counter()
        self.ending = asyncio.Event()

    @property
    def open(self) -> int:
        """How many there are."""
        return self._open.total()

    def admit(self, owner: str, look: Look, first: Round) -> "Stream":
        """A stream of one owner, beginning with what the first look brought.

        Raises:
            ApiError: 429, there are enough.
        """
        if self._open[owner] >= self._of_one or self.open >= self._most:
            mine = self._open[owner] >= self._of_one
            whose = f"{self._of_one} streams of this merchant" if mine else "enough streams"
            error = ApiError.invalid(
                f"There are {whose} at this process: end one, or come again later.",
                code="too_many_streams",
                status=429,
            )
            error.headers["retry-after"] = "2"
            raise error
        self._open[owner] += 1
        return Stream(look, first, self.ending, lambda: self._gone(owner))

    def _gone(self, owner: str) -> None:
        self._open[owner] -= 1
        if not self._open[owner]:
            del self._open[owner]

    def close(self) -> None:
        """End them all: the process stops."""
        self.ending.set()


class Stream:
    """One stream, as Falcon iterates over it. It counts until nobody has it any more."""

    def __init__(
        self, look: Look, first: Round, ending: asyncio.Event, gone: Callable[[], None]
    ) -> None:
        self._look = look
        self._ending = ending
        self._gone = gone
        self._clock = asyncio.get_running_loop().time
        self._ends_s = self._clock() + LIFE_S
        self._said_s = 0.0
        self._words = ""
        self._more = False
        self._ready: deque[SSEvent] = deque([SSEvent(retry=RETRY_MS, event_id=first.at)])
        self._take(first)

    def __del__(self) -> None:
        self._gone()

    def __aiter__(self) -> "Stream":
        return self

    async def __anext__(self) -> SSEvent:
        while not self._ready:
            if self._ending.is_set() or self._clock() >= self._ends_s:
                raise StopAsyncIteration
            if not self._more:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(EVERY_S):
                        await self._ending.wait()
                    continue
            try:
                self._take(await self._look())
                if not self._ready:
                    return SSEvent(comment="")  # only by writing is noticed that a client has gone
            except ApiError as error:
                self._ends_s = 0.0
                body = msgspec.json.encode(error.body())
                self._ready.append(SSEvent(event="error", data=body))
        return self._ready.popleft()

    def _take(self, found: Round) -> None:
        self._ready.extend(SSEvent(event_id=name, data=data) for name, data in found.events)
        self._more = found.more
        if found.word != self._words or self._clock() - self._said_s >= SAID_EVERY_S:
            # With where it has come to: who comes again after a long silence goes on from there.
            said = found.word or ("all told" if found.events else "nothing new")
            self._ready.append(SSEvent(comment=said, event_id=found.at))
            self._said_s = self._clock()
        self._words = found.word
