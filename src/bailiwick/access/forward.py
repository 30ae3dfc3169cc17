"""The hop from access to a node: a small HTTP/1.1 client that knows how far a request got.

Nothing is ever sent twice by this module. A pooled connection that turns out to be closed
before the first byte of a request was written is replaced, because nothing was said on it;
after that first byte whatever happens is reported with the phase reached, and the caller, who
knows whether money may move, decides.
"""

import asyncio
import ssl
from collections import deque
from collections.abc import Sequence
from typing import Literal
from urllib.parse import urlsplit

import httptools
import msgspec

Phase = Literal["unsent", "sent"]
Header = tuple[bytes, bytes]


class HopLimits(msgspec.Struct, frozen=True):
    """Bounds of the hop to one node; sizes in bytes, times in seconds.

    ``idle_seconds`` is shorter than the node's keep-alive time: a node does not close a
    connection just while a request is written to it.
    """

    connections: int = 256
    waiting: int = 1024
    connect_seconds: float = 1.0
    total_seconds: float = 40.0
    idle_seconds: float = 30.0
    header_bytes: int = 64 * 1024
    body_bytes: int = 4 * 1024 * 1024


class HopError(Exception):
    """A request did not get a complete answer.

    Attributes:
        phase: ``unsent``: the node has not seen a byte of it. ``sent``: it may have.
        reason: short words for people, without request content.
        busy: nothing is wrong with the node: our own bound on waiting requests was reached.
    """

    def __init__(self, phase: Phase, reason: str, *, busy: bool = False) -> None:
        super().__init__(f"{reason} ({phase})")
        self.phase = phase
        self.reason = reason
        self.busy = busy


class Answer:
    """A complete answer. ``headers`` maps lower-case names to the last value given."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, headers: dict[bytes, bytes], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    def header(self, name: bytes) -> str | None:
        """One header as text, or None."""
        value = self.headers.get(name)
        return None if value is None else value.decode("latin-1")


class _StopError(Exception):
    """Raised in a parser callback to refuse an answer."""


class _Connection(asyncio.Protocol):
    """One connection, with at most one request on it."""

    __slots__ = (
        "_began",
        "_body",
        "_body_bytes",
        "_head_done",
        "_headers",
        "_limits",
        "_loop",
        "_parser",
        "_raw_bytes",
        "idle_since",
        "transport",
        "usable",
        "waiter",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop, limits: HopLimits) -> None:
        self._loop = loop
        self._limits = limits
        self._parser = httptools.HttpResponseParser(self)
        self.transport: asyncio.Transport | None = None
        self.usable = False
        self.waiter: asyncio.Future[Answer] | None = None
        self.idle_since = 0.0
        self._reset()

    def _reset(self) -> None:
        self._headers: dict[bytes, bytes] = {}
        self._body: bytes | list[bytes] = b""
        self._body_bytes = 0
        self._raw_bytes = 0
        self._head_done = False
        self._began = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]
        self.usable = True

    def connection_lost(self, exc: Exception | None) -> None:
        self.usable = False
        self.transport = None
        reason = "the connection was reset" if exc else "the connection was closed"
        self._fail(f"{reason} before the answer was complete")

    def eof_received(self) -> None:
        self.usable = False

    def _fail(self, reason: str) -> None:
        self.usable = False
        waiter, self.waiter = self.waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_exception(HopError("sent", reason))
        if self.transport is not None:
            self.transport.abort()

    def ready(self) -> bool:
        """Whether a request may be started: open, as far as can be known without writing."""
        return self.usable and self.transport is not None and not self.transport.is_closing()

    def start(self, request: Sequence[bytes], waiter: asyncio.Future[Answer]) -> None:
        """Write a request. From here on its phase is ``sent``."""
        self._reset()
        self.waiter = waiter
        assert self.transport is not None
        self.transport.write(b"".join(request))

    def close(self) -> None:
        """Drop the connection, whatever is on it."""
        self.usable = False
        if self.transport is not None:
            self.transport.abort()

    def data_received(self, data: bytes) -> None:
        if self.waiter is None:
            # Bytes that no request asked for: the next answer could not be trusted.
            self.close()
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._fail("the answer was not valid HTTP or too large")
            return
        if not self._head_done:
            self._raw_bytes += len(data)
            if self._raw_bytes > self._limits.header_bytes:
                self._fail("the answer's headers were too large")

    # --- parser callbacks

    def on_message_begin(self) -> None:
        if self._began or self.waiter is None:
            # More than the one answer: that one is whole, but nothing may follow on here.
            self.usable = False
            raise _StopError
        self._began = True

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        self._head_done = True

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        if self._body_bytes > self._limits.body_bytes:
            raise _StopError
        if not self._body:
            self._body = body
        elif isinstance(self._body, list):
            self._body.append(body)
        else:
            self._body = [self._body, body]

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 200:
            # An interim answer; the real one follows.
            self._reset()
            return
        if not self._parser.should_keep_alive():
            self.usable = False
        body = self._body if isinstance(self._body, bytes) else b"".join(self._body)
        waiter, self.waiter = self.waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(Answer(status, self._headers, body))


class NodeClient:
    """Pooled connections to one node.

    Args:
        url: ``http://host:port`` of the node, or ``https://``.
    """

    def __init__(self, url: str, limits: HopLimits | None = None) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"a node's url must be http(s)://host:port, not {url!r}")
        self.host = parts.hostname
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self.port = parts.port or (443 if self._tls else 80)
        self.limits = limits or HopLimits()
        self.host_header = b"host: " + parts.netloc.encode("ascii") + b"\r\n"
        self._idle: list[_Connection] = []
        self._open = 0
        self._waiters: deque[asyncio.Future[_Connection | None]] = deque()
        self._busy: set[_Connection] = set()
        self._retired = False

    @property
    def open_connections(self) -> int:
        """Connections open or being opened now."""
        return self._open

    async def request(
        self,
        method: str,
        target: bytes,
        headers: Sequence[bytes] = (),
        body: bytes = b"",
        *,
        timeout: float | None = None,
    ) -> Answer:
        """Send one request once.

        Args:
            target: path and query as they go on the wire.
            headers: complete lines, ``name: value`` with CRLF.
            timeout: seconds for everything; None for the limit's.

        Raises:
            HopError: no complete answer, with the phase reached.
        """
        loop = asyncio.get_running_loop()
        seconds = self.limits.total_seconds if timeout is None else timeout
        deadline = loop.time() + seconds
        connection = self._take(loop.time()) or await self._acquire(loop, deadline)
        waiter: asyncio.Future[Answer] = loop.create_future()
        timer = loop.call_at(deadline, _expire, connection, waiter)
        lines = [method.encode("ascii"), b" ", target, b" HTTP/1.1\r\n", self.host_header]
        lines += headers
        if body or method != "GET":
            lines.append(b"content-length: %d\r\n\r\n" % len(body))
            lines.append(body)
        else:
            lines.append(b"\r\n")
        connection.start(lines, waiter)
        try:
            return await waiter
        except asyncio.CancelledError:
            connection.close()
            raise
        finally:
            timer.cancel()
            self._release(connection, loop)

    def _take(self, now: float) -> _Connection | None:
        """An idle connection that is still open; the freshest first."""
        idle = self._idle
        while idle:
            connection = idle.pop()
            if connection.ready() and now - connection.idle_since < self.limits.idle_seconds:
                self._busy.add(connection)
                return connection
            self._open -= 1
            connection.close()
        return None

    async def _acquire(self, loop: asyncio.AbstractEventLoop, deadline: float) -> _Connection:
        """Open a connection, or wait for one to become free."""
        while self._open >= self.limits.connections:
            if len(self._waiters) >= self.limits.waiting:
                raise HopError("unsent", "too many requests are waiting for it", busy=True)
            connection = await self._wait_turn(loop, deadline)
            if connection is not None:
                return connection
        self._open += 1
        try:
            connection = await self._connect(loop, deadline)
        except BaseException:
            self._open -= 1
            self._wake()
            raise
        self._busy.add(connection)
        return connection

    async def _wait_turn(
        self, loop: asyncio.AbstractEventLoop, deadline: float
    ) -> _Connection | None:
        """Wait for a freed connection, or None for room to open one."""
        turn: asyncio.Future[_Connection | None] = loop.create_future()
        self._waiters.append(turn)
        try:
            async with asyncio.timeout_at(deadline):
                return await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                # It came just when the wait was given up: pass it on.
                connection = turn.result()
                if connection is None:
                    self._wake()
                else:
                    self._release(connection, loop)
            else:
                self._waiters.remove(turn)
            if isinstance(error, TimeoutError):
                raise HopError("unsent", "no connection became free in time", busy=True) from None
            raise

    async def _connect(self, loop: asyncio.AbstractEventLoop, deadline: float) -> _Connection:
        limits = self.limits
        try:
            async with asyncio.timeout_at(min(deadline, loop.time() + limits.connect_seconds)):
                _, connection = await loop.create_connection(
                    lambda: _Connection(loop, limits), self.host, self.port, ssl=self._tls
                )
        except TimeoutError:
            raise HopError("unsent", "no connection in time") from None
        except OSError as error:
            raise HopError("unsent", _os_reason(error)) from None
        return connection

    def _release(self, connection: _Connection, loop: asyncio.AbstractEventLoop) -> None:
        if connection.ready() and connection.waiter is None and not self._retired:
            if self._waiters and self._wake(connection):
                return
            self._busy.discard(connection)
            connection.idle_since = loop.time()
            self._idle.append(connection)
            return
        self._busy.discard(connection)
        self._open -= 1
        connection.close()
        if self._waiters:
            self._wake()

    def _wake(self, connection: _Connection | None = None) -> bool:
        """Hand a connection, or room for one, to who waits longest; False if nobody does."""
        while self._waiters:
            turn = self._waiters.popleft()
            if not turn.done():
                turn.set_result(connection)
                return True
        return False

    def retire(self) -> None:
        """Let requests under way finish, and keep no connection after them."""
        self._retired = True
        for connection in self._idle:
            connection.close()
        self._open -= len(self._idle)
        self._idle.clear()

    def close(self) -> None:
        """Close every connection; requests under way fail as ``sent``."""
        for connection in (*self._idle, *self._busy):
            connection.close()
        self._open -= len(self._idle)
        self._idle.clear()


def _expire(connection: _Connection, waiter: asyncio.Future[Answer]) -> None:
    if not waiter.done():
        connection.waiter = None
        waiter.set_exception(HopError("sent", "no answer in time"))
        connection.close()


def _os_reason(error: OSError) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "the connection was refused"
    return f"no connection: {error.strerror or type(error).__name__}".lower()
