"""Exchanges whose answers are waited for, and those given up: whose an answer is."""

import asyncio
from collections import OrderedDict

from bailiwick.channels.contract import Request
from bailiwick.channels.transports.iso8583.link import Link, Lost
from bailiwick.channels.transports.iso8583.network import Key

GIVEN_UP_MAX = 10_000
"""Requests whose answers are recognised after nobody waits for them any more; the latest."""


class Waiter:
    """One exchange that waits.

    Attributes:
        answer: ends with the message as it came, or with ``Lost``.
        link: on which it was written.
        key: by what its answer is checked; None where answers have no code.
        forged: an answer came whose code did not hold.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, link: Link, request: Request, key: bytes | None
    ) -> None:
        self.answer: asyncio.Future[bytes] = loop.create_future()
        self.link = link
        self.request = request
        self.key = key
        self.forged = False


class Waiting:
    """All of one transport's."""

    def __init__(self) -> None:
        self._now: dict[Key, Waiter] = {}
        self._given_up: OrderedDict[Key, tuple[Request, bytes | None]] = OrderedDict()

    def find(self, key: Key) -> Waiter | None:
        """Who waits for an answer of this key."""
        return self._now.get(key)

    def begin(self, key: Key, waiter: Waiter) -> None:
        """Wait for it; nobody else does."""
        waiter.link.waiting += 1
        self._now[key] = waiter
        self._given_up.pop(key, None)

    def end(self, key: Key, *, remember: bool) -> None:
        """Wait no more; ``remember``: its answer may still come."""
        waiter = self._now.pop(key)
        waiter.link.waiting -= 1
        if not remember:
            return
        self._given_up[key] = (waiter.request, waiter.key)
        if len(self._given_up) > GIVEN_UP_MAX:
            self._given_up.popitem(last=False)

    def late(self, key: Key) -> tuple[Request, bytes | None] | None:
        """The request that was given up, and by what its answer is checked."""
        return self._given_up.get(key)

    def forget(self, key: Key) -> None:
        """Its answer has come."""
        self._given_up.pop(key, None)

    def lost(self, link: Link, word: str) -> None:
        """A connection has ended: nobody on it is answered."""
        for waiter in list(self._now.values()):
            if waiter.link is link and not waiter.answer.done():
                waiter.answer.set_exception(Lost(word))
