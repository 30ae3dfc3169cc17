"""The world over the broker: new epochs reach a process at once, and a broker that is behind,
or was wiped, gets the newest from whoever holds it.

The broker stores an epoch only by compare-and-swap on the one before, and sends it on once it
is stored, so nobody hears of an epoch that lost a race. It is never asked to be believed:
what comes is judged by its signature and descent, as a file would be.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
import zlib
from pathlib import Path
from typing import Final

from bailiwick.bus.client import Bus, BusConflict, BusError, Message
from bailiwick.runtime import telemetry
from bailiwick.runtime.loops import end
from bailiwick.topology import chain
from bailiwick.topology.chain import ChainError, Link
from bailiwick.topology.current import CurrentWorld
from bailiwick.topology.epochs import Epochs
from bailiwick.topology.snapshot import World

STREAM: Final = "BAILIWICK_WORLD"
SUBJECT: Final = "bailiwick.world"
PUSHED: Final = "bailiwick.pushed.world"
KEPT: Final = 16
"""Epochs that the broker keeps; hosts keep all."""
CHECK_S: Final = 5.0
FIRST_S: Final = 0.5
"""How long a start waits for the broker, which may know a newer epoch than our disk."""
MOST_PACKED: Final = 8_000_000

log = telemetry.logger()


def pack(raw: bytes) -> bytes:
    """An envelope as it travels. Raises BusError when it is too large for the broker."""
    data = zlib.compress(raw, 6)
    if len(data) > MOST_PACKED:
        raise BusError(
            f"the world has {len(data)} bytes when compressed; the broker carries at most "
            f"{MOST_PACKED}: install the epoch on every host (topology install FILE)"
        )
    return data


def unpack(data: bytes) -> bytes:
    """The envelope in a message; b"" when there is none, which no signature fits."""
    unpacker = zlib.decompressobj()
    try:
        raw = unpacker.decompress(data, chain.MOST_BYTES + 1)
    except zlib.error:
        return b""
    return raw if unpacker.eof else b""


async def ensure_stream(bus: Bus) -> None:
    """Make the world's stream unless it is there. Raises BusError."""
    await bus.ensure_stream(
        STREAM,
        [SUBJECT],
        max_bytes=KEPT * 2 * MOST_PACKED,
        max_messages_per_subject=KEPT,
        republish=(SUBJECT, PUSHED),
    )


async def newest(bus: Bus) -> Message | None:
    """The last epoch that the broker stored, or None. Raises BusError."""
    return await bus.last(STREAM, SUBJECT)


async def push(bus: Bus, link: Link, after: int) -> int:
    """Store an epoch at the broker, whose last message must be number ``after`` (0: none).

    Returns its own number. Raises BusConflict when another came first, and BusError.
    """
    receipt = await bus.publish(
        SUBJECT, pack(link.raw), stream=STREAM, expect_last_subject_sequence=after
    )
    return receipt.sequence


class WorldFeed:
    """Joins a process's world with the broker; the bus is the caller's to close."""

    def __init__(self, current: CurrentWorld, bus: Bus) -> None:
        self.current = current
        self.bus = bus
        self.pushed = 0
        self._confirmed_at = time.monotonic()
        self._compared: tuple[str, int, str] | None = None
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        current.feed = self

    @property
    def connected(self) -> bool:
        return self.bus.connected

    @property
    def stale_s(self) -> float:
        """Seconds since the world in use was last known to be the newest; 0 while it is known
        from moment to moment. Includes the time since the start if it was never known."""
        since = time.monotonic() - self._confirmed_at
        return 0.0 if self.bus.connected and since < 2 * CHECK_S else since

    async def start(self) -> None:
        """Connect and compare once, unless the broker is away; then go on in the background."""
        if await self.bus.start(wait_s=FIRST_S):
            with contextlib.suppress(BusError):
                await self._compare()
        self._task = asyncio.create_task(self.run())

    async def stop(self) -> None:
        """Take up nothing more."""
        if self._task is not None:
            await end(self._task)

    async def run(self) -> None:
        """Take up what the broker has and bring it up to date, for ever."""
        await self.bus.listen(PUSHED, self._heard)
        self.bus.on_connect(self._wake.set)
        self.current.on_change(self._changed)
        while True:
            try:
                async with asyncio.timeout(CHECK_S * (0.8 + 0.4 * random.random())):
                    await self._wake.wait()
            except TimeoutError:
                pass
            self._wake.clear()
            if not self.bus.connected:
                continue
            try:
                await self._compare()
            except BusConflict:
                self._wake.set()  # another process was first: look at what it stored
            except BusError as error:
                log.warning("the broker's world cannot be compared with ours", reason=str(error))

    def _changed(self, _world: World) -> None:
        self._wake.set()

    async def _heard(self, message: Message) -> None:
        raw = await asyncio.to_thread(unpack, message.data)
        if await self.current.offer(raw) is None:
            self._confirmed_at = time.monotonic()

    async def _compare(self) -> None:
        """Look whether the broker's newest epoch is ours; take it up or replace it if not."""
        ours = self.current.link
        state = await self.bus.state(STREAM)
        if ours is None:
            return
        if state is None:
            await ensure_stream(self.bus)
        elif self._compared == (state.created, state.last, ours.hash):
            self._confirmed_at = time.monotonic()
            return
        message = await newest(self.bus)
        raw = unpack(message.data) if message is not None else b""
        opinion = self.current.opinion(raw) if message is not None else "older"
        if opinion == "same":
            self._confirmed_at = time.monotonic()
            await self.current.offer(raw)  # nothing is wrong with the broker any more
            if state is not None:
                self._compared = (state.created, state.last, ours.hash)
        elif opinion in ("older", "garbage"):
            if message is not None:
                await self.current.offer(raw)  # to be refused, counted and told
            await push(self.bus, ours, message.sequence if message is not None else 0)
            self.pushed += 1
            log.warning("the broker was behind; it has our epoch now", epoch=ours.epoch)
            self._wake.set()
        elif await self.current.offer(raw) is None:
            self._confirmed_at = time.monotonic()


async def fetch_first(
    directory: Path, bus: Bus, *, trust: Path | None = None, wait_s: float
) -> str | None:
    """Get a host its first epoch from the broker, if its directory trusts keys but holds none.

    Returns why there still is none, or None.
    """
    epochs = Epochs(directory, trust)
    deadline = time.monotonic() + wait_s
    problem: str | None = f"no NATS server answered within {wait_s:.0f} s"
    while True:
        try:
            if not epochs.signed or epochs.head().link is not None:
                return None
            await bus.start(wait_s=max(0.05, deadline - time.monotonic()))
            message = await newest(bus)
            if message is not None:
                link = chain.unseal(unpack(message.data), epochs.trust())
                epochs.store(link)
                log.info("the first epoch came from the broker", epoch=link.epoch)
                return None
            problem = "the broker holds no epoch; publish one"
        except (BusError, ChainError) as error:
            problem = str(error)
        if time.monotonic() > deadline:
            return problem
        await asyncio.sleep(0.2)
