"""A bounded pool of client connections to one origin (scheme, host and port)."""

import asyncio
import ipaddress
import re
import socket
import ssl
from collections import deque
from urllib.parse import urlsplit

import msgspec

from bailiwick.wire import tunnel
from bailiwick.wire.client import Answer, Bounds, Connection, Gate, WireError, Word

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,251}[a-z0-9])?\.?")
_STALE = frozenset({"connection_lost", "connection_stale"})


class Origin(msgspec.Struct, frozen=True):
    """Where connections go to. ``authority`` is the value of the Host header."""

    tls: bool
    host: str
    port: int
    authority: str


def origin(text: str) -> Origin:
    """Read ``http(s)://host[:port]``: a name in ASCII, an IPv4 or a bracketed IPv6 address.

    Raises:
        ValueError: it is something else; user names and passwords are refused too.
    """
    if not text.isprintable():  # urlsplit would drop line ends and tabs in silence
        raise ValueError("a url must not hold control characters")
    parts = urlsplit(text)
    host, tls = parts.hostname or "", parts.scheme == "https"
    usual = 443 if tls else 80
    port = usual if parts.port is None else parts.port
    if ":" in host:
        ipaddress.IPv6Address(host)
        shown = f"[{host}]"
    elif _NAME.fullmatch(host):
        shown = host
    else:
        raise ValueError("a url's host must be a name in ASCII or an address")
    # Only what is understood as a whole: no user, no zone of an address, no path.
    plain = text.lower() in (f"{parts.scheme}://{shown}", f"{parts.scheme}://{shown}:{port}")
    if parts.scheme not in ("http", "https") or not plain or "%" in host or port == 0:
        raise ValueError("a url must begin with http(s)://host or http(s)://host:port")
    return Origin(tls, host, port, shown if port == usual else f"{shown}:{port}")


class Pool:
    """Connections to one origin, each kept alive for a while between exchanges.

    Args:
        limit: connections at once.
        waiting: exchanges that may wait for one; None for any number.
        idle_seconds: how long an unused connection is kept. Shorter than the server's own
            limit, so that it is not closed just while a request is written to it.
        context: of TLS, where the origin has it.
        proxy: the way there, for an origin with TLS; none: straight.
    """

    def __init__(
        self,
        origin: Origin,
        *,
        limit: int,
        idle_seconds: float,
        waiting: int | None = None,
        context: ssl.SSLContext | None = None,
        proxy: tunnel.Proxy | None = None,
    ) -> None:
        self.origin = origin
        self._proxy = proxy if origin.tls else None
        self._limit = limit
        self._waiting = waiting
        self._idle_seconds = idle_seconds
        self._context = context if origin.tls else None
        self._open = 0
        self._idle: deque[Connection] = deque()  # the longest idle first
        self._busy: set[Connection] = set()
        self._waiters: deque[asyncio.Future[Connection | None]] = deque()
        self._sweeper: asyncio.TimerHandle | None = None
        self._retired = False
        self._closed = False

    @property
    def open_connections(self) -> int:
        """Connections open or being opened now."""
        return self._open

    async def exchange(self, request: bytes, bounds: Bounds, gate: Gate | None = None) -> Answer:
        """Send a request once and wait for its answer.

        A kept connection that turns out stale before the write is replaced: nothing was said
        on it. After the write nothing is repeated. Cancelling drops the connection; whether
        the request was sent is then not known.

        Raises:
            WireError: no complete answer.
        """
        loop = asyncio.get_running_loop()
        now = loop.time()
        deadline = now + bounds.total_s
        while True:
            kept = connection = self._take(now)
            if connection is None:
                connection = await self._acquire(loop, bounds, now, deadline)
                now = loop.time()
            try:
                waiter = connection.start(request, bounds, now, deadline, gate)
            except WireError as error:
                self._release(connection, loop)
                if kept is not None and error.word in _STALE:
                    continue
                raise
            except BaseException:
                connection.close()
                self._release(connection, loop)
                raise
            try:
                return await waiter
            except asyncio.CancelledError:
                connection.close()
                raise
            finally:
                self._release(connection, loop)

    def _take(self, now: float) -> Connection | None:
        """A kept connection, the freshest first; whether it is fit is looked at last."""
        idle = self._idle
        while idle:
            connection = idle.pop()
            if connection.usable and now - connection.heard < self._idle_seconds:
                self._busy.add(connection)
                return connection
            self._open -= 1
            connection.close()
        return None

    async def _acquire(
        self, loop: asyncio.AbstractEventLoop, bounds: Bounds, began: float, deadline: float
    ) -> Connection:
        """Wait for a connection to become free, or open one."""
        wait_s = bounds.connect_s if bounds.wait_s is None else bounds.wait_s
        while not self._closed and self._open >= self._limit:
            if self._waiting is not None and len(self._waiters) >= self._waiting:
                raise WireError(False, "busy")
            connection = await self._wait_turn(loop, min(deadline, began + wait_s))
            if connection is not None:
                if connection.unfit() is None:
                    return connection
                self._release(connection, loop)
        if self._closed:
            raise WireError(False, "closed")
        self._open += 1
        connection = Connection(loop, tls=self._context is not None)
        since = began if bounds.wait_s is None else loop.time()
        try:
            await self._connect(loop, connection, min(deadline, since + bounds.connect_s))
            if self._closed:
                raise WireError(False, "closed")
        except BaseException:
            connection.close()
            self._open -= 1
            self._wake()
            raise
        self._busy.add(connection)
        return connection

    async def _wait_turn(self, loop: asyncio.AbstractEventLoop, until: float) -> Connection | None:
        """Wait for a freed connection, or None for room to open one."""
        turn: asyncio.Future[Connection | None] = loop.create_future()
        self._waiters.append(turn)
        try:
            async with asyncio.timeout_at(until):
                return await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                # It came just when the wait was given up: pass it on.
                connection = turn.result()
                if connection is None:
                    self._wake()
                else:
                    self._release(connection, loop)
            elif turn in self._waiters:
                self._waiters.remove(turn)
            if isinstance(error, TimeoutError):
                raise WireError(False, "no_free_connection") from None
            raise

    async def _connect(
        self, loop: asyncio.AbstractEventLoop, connection: Connection, until: float
    ) -> None:
        try:
            async with asyncio.timeout_at(until):
                if self._proxy is not None:
                    await self._tunnel(loop, connection, self._proxy)
                else:
                    await loop.create_connection(
                        lambda: connection, self.origin.host, self.origin.port, ssl=self._context
                    )
        except WireError:
            raise
        except Exception as error:  # whatever it is: nothing was sent
            raise WireError(False, _connect_word(error), _connect_detail(error)) from None

    async def _tunnel(
        self, loop: asyncio.AbstractEventLoop, connection: Connection, proxy: tunnel.Proxy
    ) -> None:
        host = self.origin.host
        sock = await tunnel.opened(loop, proxy, host, self.origin.port)
        try:
            await loop.create_connection(
                lambda: connection, sock=sock, ssl=self._context, server_hostname=host
            )
        except BaseException:
            sock.close()
            raise

    def _release(self, connection: Connection, loop: asyncio.AbstractEventLoop) -> None:
        if connection.reusable() and not self._retired:
            if self._waiters and self._wake(connection):
                return
            self._busy.discard(connection)
            self._idle.append(connection)
            if self._sweeper is None:
                self._sweeper = loop.call_later(self._idle_seconds, self._sweep, loop)
            return
        self._busy.discard(connection)
        self._open -= 1
        connection.close()
        if self._waiters:
            self._wake()

    def _wake(self, connection: Connection | None = None) -> bool:
        """Hand a connection, or room for one, to who waits longest; False if nobody does."""
        while self._waiters:
            turn = self._waiters.popleft()
            if not turn.done():
                turn.set_result(connection)
                return True
        return False

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        """Close what has been idle for too long."""
        self._sweeper = None
        now = loop.time()
        while self._idle and now - self._idle[0].heard >= self._idle_seconds - 0.001:
            self._idle.popleft().close()
            self._open -= 1
        if self._idle:
            oldest = self._idle[0].heard
            self._sweeper = loop.call_at(oldest + self._idle_seconds, self._sweep, loop)

    def retire(self) -> None:
        """Let exchanges under way finish, and keep no connection after them."""
        self._retired = True
        while self._idle:
            self._idle.pop().close()
            self._open -= 1
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None

    def close(self) -> None:
        """Close every connection. What was sent fails as sent; what waits, as unsent."""
        self._closed = True
        self.retire()
        for connection in self._busy:
            connection.close()
        while self._wake():
            pass


def _connect_detail(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    if isinstance(error, ssl.SSLError):
        return error.reason or "TLS"
    return str(getattr(error, "strerror", None) or type(error).__name__)


def _connect_word(error: Exception) -> Word:
    if isinstance(error, TimeoutError):
        return "connect_timeout"
    if isinstance(error, socket.gaierror):
        return "dns"
    if isinstance(error, ssl.SSLError):
        return "tls"
    if isinstance(error, ConnectionRefusedError):
        return "refused"
    if isinstance(error, ConnectionResetError | BrokenPipeError):
        return "connection_lost"
    return "unreachable" if isinstance(error, OSError) else "not_sent"
