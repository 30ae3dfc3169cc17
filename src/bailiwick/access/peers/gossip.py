"""News from access process to access process of one region, over the broker: sealed, several times
a second, and never waited for. Nobody keeps them.

A message is a seal, a line end and MessagePack. The seal is made with the secret that access and
nodes share, so what another user of the broker writes is dropped.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import msgspec

from bailiwick.access.peers.key_homes import KeyHomes, Told
from bailiwick.access.rates import Rates, Spent
from bailiwick.base.clock import now_ms
from bailiwick.base.sealing import fits, seal
from bailiwick.bus.base import BusError, Message
from bailiwick.runtime import telemetry
from bailiwick.runtime.loops import end

if TYPE_CHECKING:
    from bailiwick.bus.client import Bus

SUBJECT: Final = "bailiwick.access"
KIND: Final = "access-news"
EVERY_S: Final = 0.2
KEYS_MOST: Final = 8_000
"""Of one message: some 30 bytes each, within a broker's usual 1 MiB."""
WAITING_MOST: Final = 64_000
"""Kept to be told while there is no connection; the oldest go first."""
FRESH_MS: Final = 60_000

log = telemetry.logger()


class News(msgspec.Struct, frozen=True):
    """What one process tells.

    Attributes:
        sender: made up at its start, so that it knows its own.
        at_ms: when, by its clock. fresh, gone: see ``KeyHomes``.
        spent: since the last message; see ``Rates``.
    """

    sender: str
    at_ms: int
    fresh: list[Told] = []
    gone: list[Told] = []
    spent: list[Spent] = []


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(News).decode


def subject(region: str) -> str:
    """Where the processes of a region talk; ``region``: "" where none is set."""
    return f"{SUBJECT}.{region or 'all'}"


def sealed(secret: bytes, news: News) -> bytes:
    """A message as it travels."""
    body = _encode(news)
    return seal(secret, KIND, body).encode() + b"\n" + body


def opened(secret: bytes, data: bytes, now: int) -> News | None:
    """What a message says; None if it is not genuine, or old."""
    given, _, body = data.partition(b"\n")
    if not fits(seal(secret, KIND, body), given):
        return None
    try:
        news = _decode(body)
    except msgspec.DecodeError:
        return None
    return news if abs(now - news.at_ms) <= FRESH_MS else None


class Gossip:
    """Tells what ``KeyHomes`` and ``Rates`` have to tell, and lets them learn.

    Attributes:
        heard: messages taken. dropped: those that were not genuine, or old.
    """

    def __init__(
        self,
        bus: Bus,
        secret: bytes,
        region: str,
        key_homes: KeyHomes,
        rates: Rates,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._bus = bus
        self._secret = secret
        self._subject = subject(region)
        self._homes = key_homes
        self._rates = rates
        self._clock = clock
        self._sender = os.urandom(12).hex()
        self._task: asyncio.Task[None] | None = None
        self.heard = self.dropped = 0

    async def start(self) -> None:
        """Listen, and tell from now on; the bus is started by whoever owns it."""
        await self._bus.listen(self._subject, self._take)
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Tell and hear nothing more."""
        if self._task is not None:
            await end(self._task)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(EVERY_S)
            homes = self._homes
            for told in (homes.fresh, homes.gone):
                del told[: max(0, len(told) - WAITING_MOST)]
            if not self._bus.connected:
                self._rates.spent.clear()
            else:
                with contextlib.suppress(BusError):
                    await self.tell()

    async def tell(self) -> None:
        """Tell what there is. Raises BusError: what was not told then is told later."""
        homes, rates = self._homes, self._rates
        while homes.fresh or homes.gone or rates.spent:
            fresh, gone = homes.fresh[:KEYS_MOST], homes.gone[:KEYS_MOST]
            told = itertools.islice(rates.spent.items(), KEYS_MOST)
            spent = [(name, count, rate) for name, (count, rate) in told]
            # Spent while this is sent counts for the next message; sent in vain, it is forgotten:
            # it would be old news.
            for name, _, _ in spent:
                del rates.spent[name]
            news = News(self._sender, now_ms(), fresh, gone, spent)
            await self._bus.send(self._subject, sealed(self._secret, news))
            del homes.fresh[: len(fresh)]
            del homes.gone[: len(gone)]

    async def _take(self, message: Message) -> None:
        news = opened(self._secret, message.data, now_ms())
        if news is None:
            self.dropped += 1
            if self.dropped == 1:
                log.warning("news of peers are not genuine, or old: is a clock wrong?")
        elif news.sender != self._sender:
            self.heard += 1
            now = self._clock()
            self._homes.learn(news.fresh, news.gone, now)
            self._rates.learn(news.spent, now)
