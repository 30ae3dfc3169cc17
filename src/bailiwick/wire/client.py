"""One HTTP/1.1 client connection on httptools, exact about what left and what came back.

What "exact" means here:

* ``Connection.start`` is an ordinary function: from its last check (``gate``) to
  ``transport.write`` of head and body in one piece nothing can be suspended. Before that line a
  request is unsent, from it on it is sent. The transport may still hold the bytes back: asyncio
  writes at once, uvloop at the end of the loop's turn (microseconds to a few milliseconds
  later, before it reads anything), TLS encrypts at once and hands on. That delay is part of
  what a permit's margin must cover; once handed over, the bytes count as sent.
* Bytes that no request asked for close the connection: those that were read, and those that
  still wait in the socket when the next request is about to be written.
* Nothing is ever sent twice, no redirect is followed, no answer is half believed: a body that
  ends by closing counts as whole only after an orderly end (FIN; on TLS close_notify).
"""

import asyncio
import select
import ssl
from collections.abc import Callable
from typing import Literal, Never

import httptools
import msgspec

Word = Literal[
    "busy",
    "closed",
    "connect_timeout",
    "connection_lost",
    "connection_stale",
    "disconnected",
    "dns",
    "encoded",
    "garbage",
    "headers_too_large",
    "no_free_connection",
    "not_sent",
    "read_timeout",
    "refused",
    "reset",
    "timeout",
    "tls",
    "too_large",
    "truncated",
    "unreachable",
]
Gate = Callable[[], str | None]

_HEADER_LINE_BYTES_MAX = 8_190
_HEADERS_MAX = 100
_INTERIM_MAX = 16
_ONCE = frozenset({b"content-length", b"transfer-encoding", b"content-encoding"})
_EARLY_S = 0.001  # uvloop's timers count whole milliseconds and may fire that much too early
_AT_FIRST = "it may have refused our certificate"  # peers on asyncio close without an alert
_GONE = select.POLLRDHUP if hasattr(select, "POLLRDHUP") else 0


class Bounds(msgspec.Struct, frozen=True):
    """What one exchange may take: seconds and bytes.

    Attributes:
        connect_s: for a connection: waiting for a free one, look-up, TCP and TLS together.
        wait_s: for waiting alone; then ``connect_s`` begins after it. None: within ``connect_s``.
        silence_s: from the write to the answer's first byte, and between any two pieces of it.
        total_s: for everything.
        until_close: an answer without length, ended by closing, is accepted.
    """

    connect_s: float
    silence_s: float
    total_s: float
    body_bytes: int
    wait_s: float | None = None
    header_bytes: int = 64 * 1024
    until_close: bool = False


class WireError(Exception):
    """No complete answer.

    Attributes:
        sent: False: no byte of the request was or will be written. True: it may have arrived.
        word: what stopped it; a ``Word``, or what the gate said.
        detail: the system's words, for people; never content.
    """

    def __init__(self, sent: bool, word: str, detail: str = "") -> None:
        super().__init__(word)
        self.sent = sent
        self.word = word
        self.detail = detail


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


class Connection(asyncio.Protocol):
    """One connection, with at most one request on it."""

    __slots__ = tuple(
        "_began _body _bounds _deadline _head_done _header_bytes _headers _headers_seen _interim"
        " _loop _parser _poll _raw_bytes _status _stop _timer _timer_at _tls_first _to_close"
        " _version_seen heard transport usable waiter".split()
    )

    def __init__(self, loop: asyncio.AbstractEventLoop, *, tls: bool) -> None:
        self._loop = loop
        self._parser = httptools.HttpResponseParser(self)
        self._poll = select.poll()
        self._tls_first = tls
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self.transport: asyncio.Transport | None = None
        self.usable = False
        self.waiter: asyncio.Future[Answer] | None = None
        self.heard = 0.0  # loop time of the last byte, or of the last write
        self._version_seen = False

    # --- sending

    def unfit(self) -> Word | None:
        """Why no request may be started now; None if nothing speaks against it."""
        transport = self.transport
        if transport is None or transport.is_closing():
            return "connection_lost"
        if not self.usable:
            return "connection_stale"
        if self._poll.poll(0):
            # Closed by the other side, or bytes nobody asked for, and the loop has not read
            # them yet: after a write they would pass for its answer.
            self.usable = False
            return "connection_stale"
        return None

    def start(
        self,
        request: bytes,
        bounds: Bounds,
        now: float,
        deadline: float,
        gate: Gate | None = None,
    ) -> asyncio.Future[Answer]:
        """Write a request, unless the connection or the gate is against it.

        The future ends with the answer, or with a ``WireError`` that says ``sent``.

        Args:
            now: loop time.
            deadline: loop time by which the answer must be complete.
            gate: asked immediately before the write; the reason for not writing, or None.

        Raises:
            WireError: nothing was written.
        """
        if self.waiter is not None:
            raise WireError(False, "connection_stale")
        self._bounds = bounds
        self._deadline = deadline
        self.heard = now
        self._raw_bytes = self._header_bytes = self._headers_seen = self._interim = 0
        self._stop: Word = "garbage"
        self._next_message()
        waiter: asyncio.Future[Answer] = self._loop.create_future()
        against = self.unfit() or (None if gate is None else gate())
        if against is not None:
            raise WireError(False, against)
        self.waiter = waiter
        self.transport.write(request)  # type: ignore[union-attr]  # unfit() looked
        at = self._timer_at
        if self._timer is None or deadline < at or now + bounds.silence_s < at:
            self._watch()
        return waiter

    def close(self) -> None:
        """Drop the connection, whatever is on it."""
        self.usable = False
        if self.transport is not None:
            self.transport.abort()

    def reusable(self) -> bool:
        """Whether another request may follow: nothing is under way in either direction."""
        return (
            self.usable
            and self.waiter is None
            and self.transport is not None
            and self.transport.get_write_buffer_size() == 0  # an answer may come early
        )

    # --- time: one timer a connection, moved on when it fires, not one a request

    def _watch(self) -> None:
        due = self.heard + self._bounds.silence_s
        if due > self._deadline:
            due = self._deadline
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = due
        self._timer = self._loop.call_at(due, self._tick)

    def _tick(self) -> None:
        self._timer = None
        if self.waiter is None:
            return
        now = self._loop.time() + _EARLY_S
        if now >= self._deadline:
            self._fail("timeout")
        elif now >= self.heard + self._bounds.silence_s:
            self._fail("read_timeout")
        else:
            self._watch()

    # --- the transport's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]
        # On TLS 1.3 session tickets follow the handshake: readable, yet nothing unasked. They
        # are read at the latest with the first answer; from then on any byte counts.
        events = _GONE if self._tls_first else _GONE | select.POLLIN
        self._poll.register(transport.get_extra_info("socket").fileno(), events)
        self.usable = True

    def connection_lost(self, exc: Exception | None) -> None:
        if isinstance(exc, ssl.SSLError):
            # On TLS 1.3 the other side judges our certificate after our handshake: a request
            # may have left, none was read.
            self._fail("tls", exc.reason or "")
        else:
            self._fail("reset" if exc is not None else self._end_word())
        self.transport = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        del self._parser  # it refers back to here

    def eof_received(self) -> None:
        self.usable = False
        if self.waiter is not None and self._head_done and self._to_close and self._orderly():
            self._complete()
        else:
            self._fail(self._end_word())

    def data_received(self, data: bytes) -> None:
        if self.waiter is None:
            # Bytes that no request asked for: the next answer could not be trusted.
            self.close()
            return
        self.heard = self._loop.time()
        self._raw_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._fail(self._stop)
            return
        if self._raw_bytes > self._bounds.header_bytes and self.waiter is not None:
            if not self._head_done:
                self._fail("headers_too_large")
            elif self._raw_bytes > 2 * (self._bounds.header_bytes + self._bounds.body_bytes):
                self._fail("too_large")  # chunk extensions, trailers: bytes that are no body

    def _orderly(self) -> bool:
        """Whether the other side said that this is the end.

        asyncio and uvloop report a bare FIN and TLS's close_notify alike, but a FIN can be had
        from anyone on the way: after close_notify alone a read finds an end, not a want.
        """
        assert self.transport is not None
        tls: ssl.SSLObject | None = self.transport.get_extra_info("ssl_object")
        if tls is None:
            return True
        try:
            return tls.read(1) == b""
        except ssl.SSLError:
            return False

    def _end_word(self) -> Word:
        began = self.waiter is not None and self._head_done
        return "truncated" if began else "disconnected"

    def _fail(self, word: Word, detail: str = "") -> None:
        self.usable = False
        waiter, self.waiter = self.waiter, None
        if waiter is not None and not waiter.done():
            if self._tls_first and not detail and word in ("disconnected", "reset"):
                detail = _AT_FIRST
            waiter.set_exception(WireError(True, word, detail))
        if self.transport is not None:
            self.transport.abort()

    # --- the parser's side

    def _next_message(self) -> None:
        self._headers: dict[bytes, bytes] = {}
        self._body: bytes | bytearray = b""
        self._head_done = self._began = self._to_close = False

    def _refuse(self, word: Word) -> Never:
        self._stop = word
        raise _StopError

    def on_message_begin(self) -> None:
        if self._began or self.waiter is None:
            # More than the one answer: that one is whole, but nothing may follow on here.
            self.usable = False
            raise _StopError
        self._began = True

    def on_header(self, name: bytes, value: bytes) -> None:
        size = len(name) + len(value)
        self._headers_seen += 1
        self._header_bytes += size
        if (
            size > _HEADER_LINE_BYTES_MAX
            or self._headers_seen > _HEADERS_MAX
            or self._header_bytes > self._bounds.header_bytes
        ):
            self._refuse("headers_too_large")
        if self._head_done:
            return  # a trailer: counted, not believed
        name = name.lower()
        if name in _ONCE and name in self._headers:
            self._refuse("garbage")  # which of the two would be believed?
        self._headers[name] = value.strip(b" \t")  # RFC 9110 5.5

    def on_headers_complete(self) -> None:
        self._head_done = True
        headers = self._headers
        self._status = status = self._parser.get_status_code()
        length = headers.get(b"content-length")
        coding = headers.get(b"transfer-encoding")
        if status < 200:
            self._interim += 1
            bodiless = length in (None, b"0") and coding is None
            if status < 100 or self._interim > _INTERIM_MAX or not bodiless:
                self._refuse("garbage")
            return
        if not self._version_seen:
            self._version_seen = self._parser.get_http_version() in ("1.1", "1.0")
        if status > 599 or not self._version_seen:
            self._refuse("garbage")
        encoding = headers.get(b"content-encoding")
        if encoding is not None and encoding.lower() not in (b"", b"identity"):
            self._refuse("encoded")  # we asked for none: what unpacks has no bound
        if coding is not None and coding.lower() != b"chunked":
            self._refuse("encoded")
        if length is not None:
            # The parser has checked that it is one number. A short one cannot be too much.
            if len(length) > 9 or int(length) > self._bounds.body_bytes:
                self._refuse("too_large")
        elif coding is None and status not in (204, 304):
            self._to_close = True
            if not self._bounds.until_close:
                self._refuse("garbage")

    def on_body(self, body: bytes) -> None:
        if len(self._body) + len(body) > self._bounds.body_bytes:
            self._refuse("too_large")
        if not self._body:
            self._body = body
        elif isinstance(self._body, bytearray):
            self._body += body
        else:
            self._body = bytearray(self._body + body)

    def on_message_complete(self) -> None:
        if self._status < 200:
            self._next_message()  # an interim answer; the real one follows
            return
        if not self._parser.should_keep_alive():
            self.usable = False
        self._complete()

    def _complete(self) -> None:
        if self._tls_first:
            self._tls_first = False
            if self.transport is not None:
                number = self.transport.get_extra_info("socket").fileno()
                self._poll.modify(number, _GONE | select.POLLIN)
        waiter, self.waiter = self.waiter, None
        if waiter is not None and not waiter.done():
            body = self._body if isinstance(self._body, bytes) else bytes(self._body)
            waiter.set_result(Answer(self._status, self._headers, body))
