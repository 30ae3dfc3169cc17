"""One connection to a bank: whole messages in both directions, and how it ended."""

import asyncio
import select
import ssl
from collections.abc import Callable
from typing import cast
from urllib.parse import urlsplit

import msgspec

from bailiwick.channels.blocks.iso8583.dialect import Framing
from bailiwick.channels.blocks.iso8583.framing import BadStream, Frames

STALL_S = 1.0
"""How long bytes may wait here because the bank reads nothing; then they are thrown away. A permit
must be good for so long when they are handed over: none leaves after it has run out."""
_BEHIND_S = 0.1
"""How long they may wait before nothing more is handed over: uvloop hands on at a turn's end."""
_GONE = select.POLLRDHUP if hasattr(select, "POLLRDHUP") else 0


class Place(msgspec.Struct, frozen=True):
    """Where a bank is. ``tls``: the connection is encrypted, and its certificate checked."""

    host: str
    port: int
    tls: bool


def place(url: str) -> Place:
    """Where a URL of ``tcp://host:port`` or ``tls://host:port`` leads.

    Raises:
        ValueError: it is something else.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("tcp", "tls") or not parts.hostname or not parts.port:
        raise ValueError("base_url must be tcp://host:port or tls://host:port")
    if parts.username is not None or not url.isprintable() or not url.isascii():
        raise ValueError("base_url must have no user name, and be ASCII")
    return Place(parts.hostname, parts.port, parts.scheme == "tls")


class Lost(Exception):
    """The connection has ended; ``word`` says how. What was written on it may have arrived."""

    def __init__(self, word: str) -> None:
        super().__init__(word)
        self.word = word


class Link(asyncio.Protocol):
    """See the module.

    Attributes:
        waiting: exchanges whose answers have not come.
        signed_on: the bank takes messages about money here.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        framing: Framing,
        on_message: Callable[["Link", bytes], None],
        on_lost: Callable[["Link", str], None],
    ) -> None:
        self._loop = loop
        self._frames = Frames(framing)
        self._on_message = on_message
        self._on_lost = on_lost
        self._transport: asyncio.Transport | None = None
        self._poll = select.poll()
        self._stalled: asyncio.TimerHandle | None = None
        self._stalled_at = 0.0
        self._word = ""
        self.waiting = 0
        self.signed_on = False

    # --- what is asked of it

    def fit(self) -> bool:
        """Whether a message may be written now: it is open, and the bank reads."""
        transport = self._transport
        if transport is None or transport.is_closing() or self._word:
            return False
        if self._stalled is not None and self._loop.time() > self._stalled_at + _BEHIND_S:
            return False
        # Closed by the bank, and the loop has not read that yet.
        return not self._poll.poll(0)

    def write(self, frame: bytes) -> None:
        """Hand a message over; it counts as sent."""
        assert self._transport is not None, "fit() looked"
        self._transport.write(frame)

    def drop(self, word: str) -> None:
        """End it at once, whatever is on it."""
        self._word = self._word or word
        if self._transport is not None:
            self._transport.abort()

    def leave(self, frame: bytes | None) -> None:
        """End it in an orderly way, with a last message that nobody waits for an answer to."""
        if frame is not None and self.fit():
            self.write(frame)
        self._word = self._word or "closed"
        if self._transport is not None:
            self._transport.close()

    # --- the transport's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = opened = cast(asyncio.Transport, transport)
        # To be told of the first byte that the system does not take, and when all have gone.
        opened.set_write_buffer_limits(high=0)
        self._poll.register(transport.get_extra_info("socket").fileno(), _GONE)

    def pause_writing(self) -> None:
        if self._stalled is None:
            self._stalled_at = self._loop.time()
            self._stalled = self._loop.call_at(self._stalled_at + STALL_S, self.drop, "stalled")

    def resume_writing(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def data_received(self, data: bytes) -> None:
        try:
            found = self._frames.feed(data)
        except BadStream:
            self.drop("garbage")
            return
        for each in found:
            if each:  # a length of nothing keeps the line alive
                self._on_message(self, each)

    def connection_lost(self, exc: Exception | None) -> None:
        self.resume_writing()
        self._transport = None
        if not self._word:
            self._word = "disconnected" if exc is None else "reset"
            if isinstance(exc, ssl.SSLError):
                self._word = "tls"
        self._on_lost(self, self._word)
