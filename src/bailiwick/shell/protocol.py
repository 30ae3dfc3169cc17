"""One client connection of uvicorn's httptools server, with bounds.

uvicorn's protocol by itself accepts headers and request lines of any size and waits for ever
for the rest of a request. ``BoundedProtocol`` bounds bytes, counts and time, and answers what
it refuses in the API's error shape before the connection is closed.
"""

import asyncio
import os
from typing import Any, ClassVar

import httptools
import msgspec
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_LINGER_S = 2.0
BODY_BYTES_MAX = 256 * 1024
COMPLETE = "bailiwick.complete"
"""Set in a request's scope once all of it has arrived."""
_REASONS = {
    400: "Bad Request",
    408: "Request Timeout",
    413: "Content Too Large",
    414: "URI Too Long",
    431: "Request Header Fields Too Large",
    503: "Service Unavailable",
}


class Limits(msgspec.Struct, frozen=True):
    """What one HTTP server accepts; sizes in bytes, times in seconds.

    The keep-alive time is longer than that of the client in ``access.forward``, so that it is
    normally the client that lets an idle connection go, never both at once.
    """

    header_bytes: int = 16 * 1024
    header_count: int = 100
    url_bytes: int = 8 * 1024
    body_bytes: int = BODY_BYTES_MAX
    header_seconds: float = 10.0
    body_seconds: float = 20.0
    keep_alive_seconds: float = 75.0
    connections: int = 4096


class _RefusedError(Exception):
    """Raised inside a parser callback to stop parsing; carries nothing."""


def new_request_id() -> str:
    """A fresh name for one request, given back in the ``request-id`` header."""
    return "req_" + os.urandom(12).hex()


def _refusal(status: int, message: str) -> bytes:
    """A complete HTTP answer with a Stripe-shaped error, after which the connection ends."""
    retry = status in (408, 503)
    kind = "api_error" if status == 503 else "invalid_request_error"
    body = msgspec.json.encode({"error": {"type": kind, "message": message}})
    head = (
        f"HTTP/1.1 {status} {_REASONS[status]}\r\n"
        "content-type: application/json\r\n"
        f"content-length: {len(body)}\r\n"
        f"request-id: {new_request_id()}\r\n"
        f"stripe-should-retry: {'true' if retry else 'false'}\r\n"
        + ("retry-after: 1\r\n" if status == 503 else "")
        + "connection: close\r\n\r\n"
    )
    return head.encode("ascii") + body


_IDLE, _HEADERS, _BODY = 0, 1, 2


class JoinedWrites:
    """A transport that writes what one turn of the event loop brings in one piece.

    uvicorn writes an answer's head and body apart; on a hot path that is a system call and a
    packet more for each request.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._pending: list[bytes] = []

    def write(self, data: bytes) -> None:
        """Have the data written at the end of this turn."""
        if not self._pending:
            self._loop.call_soon(self._flush)
        self._pending.append(data)

    def _flush(self) -> None:
        if self._pending:
            data = b"".join(self._pending)
            self._pending.clear()
            self._transport.write(data)

    def write_eof(self) -> None:
        """Write what is pending, then end our side."""
        self._flush()
        self._transport.write_eof()

    def close(self) -> None:
        """Write what is pending, then close."""
        self._flush()
        self._transport.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class BoundedProtocol(HttpToolsProtocol):
    """One client connection.

    ``deadline`` (loop time, 0 for none) is what the server's sweep compares, so that a usual
    request costs no timer. It runs while the client owes us something, and while we owe the
    client an answer it does not.
    """

    limits: ClassVar[Limits] = Limits()

    deadline: float = 0.0
    _phase: int = _IDLE
    _header_bytes: int = 0
    _raw_bytes: int = 0
    _body_bytes: int = 0
    _began: bool = False
    _ended: bool = False
    _refused: tuple[int, str] | None = None
    _waiting_refusal: bytes | None = None
    _lingering: bool = False

    # --- connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.transport = JoinedWrites(transport, self.loop)  # type: ignore[assignment]
        self.deadline = self.loop.time() + self.limits.header_seconds
        if len(self.connections) > self.limits.connections:
            self._refuse(503, "Too many connections. Retry in a moment.")

    def data_received(self, data: bytes) -> None:
        if self._lingering or self._waiting_refusal is not None:
            return
        before = self._phase
        self._began = self._ended = False
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            pass  # answered as a plain request; what follows it is not ours
        except httptools.HttpParserError:
            self._refuse(*(self._refused or (400, "The request is not valid HTTP/1.1.")))
            return
        phase = self._phase
        if phase == _IDLE:
            if self._answering():
                self.deadline = 0.0
            return
        if phase == _HEADERS and not self._ended:
            # A header that never ends stays inside the parser: count what goes in.
            self._raw_bytes = self._raw_bytes + len(data) if before == _HEADERS else len(data)
            if self._raw_bytes > self.limits.header_bytes + self.limits.url_bytes:
                self._refuse(431, "The request's headers are too large.")
                return
        if phase != before or self._began:
            seconds = self.limits.body_seconds
            if phase == _HEADERS:
                seconds = self.limits.header_seconds
            self.deadline = self.loop.time() + seconds
        if self._older_is_active():
            self.deadline = 0.0

    def check(self, now: float) -> None:
        """Past the deadline: tell a client that left a request unfinished, and close."""
        if not self.deadline or now < self.deadline or self.transport.is_closing():
            return
        if self._lingering or self._phase == _IDLE:
            self.transport.close()
        else:
            self._refuse(408, "The request did not arrive in time. Nothing was done.")

    def _answering(self) -> bool:
        # uvicorn's annotation hides that there is no cycle before the first request.
        return getattr(self.cycle, "response_complete", True) is False

    def _older_is_active(self) -> bool:
        """Whether an earlier request of this connection still awaits its answer."""
        if self._phase == _BODY:
            return bool(self.pipeline)
        return self._answering()

    def _refuse(self, status: int, message: str) -> None:
        """Answer the newest request with an error and end the connection after it.

        An earlier request that is still being worked on gets its answer first: it may be a
        payment.
        """
        answer = _refusal(status, message)
        older = self._older_is_active()
        if self._phase == _BODY:
            if self.cycle.response_started:
                self.transport.close()
                return
            if older:
                self.pipeline.popleft()
            else:
                self.cycle.disconnected = True
                self.cycle.message_event.set()
        self.deadline = 0.0
        if older:
            self._waiting_refusal = answer
            self.flow.pause_reading()
        else:
            self._close_with(answer)

    def _close_with(self, answer: bytes) -> None:
        """Write, half-close and throw away what still comes, so that the answer is not lost
        to a reset caused by unread bytes."""
        self.transport.write(answer)
        if not self.transport.can_write_eof():
            self.transport.close()
            return
        self._lingering = True
        self.flow.resume_reading()
        self.transport.write_eof()
        self.deadline = self.loop.time() + _LINGER_S

    # --- parser callbacks

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._phase = _HEADERS
        self._began = True
        self._header_bytes = self._body_bytes = self._raw_bytes = 0

    def on_url(self, url: bytes) -> None:
        self.url += url
        if len(self.url) > self.limits.url_bytes:
            self._stop(414, "The request's URL is too long.")

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        self._header_bytes += len(name) + len(value) + 4
        if self._header_bytes > self.limits.header_bytes:
            self._stop(431, "The request's headers are too large.")
        self.headers.append((name, value))
        if name == b"expect":
            self.expect_100_continue = value.lower() == b"100-continue"
        elif name == b"content-length" and int(value) > self.limits.body_bytes:
            self._stop(413, too_large(self.limits.body_bytes))

    def on_headers_complete(self) -> None:
        if len(self.headers) > self.limits.header_count:
            self._stop(431, "The request has too many headers.")
        if not self.url.isascii():
            self._stop(400, "The request's URL has characters that must be percent-encoded.")
        self._raw_bytes = 0
        super().on_headers_complete()
        self._phase = _BODY

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        if self._body_bytes > self.limits.body_bytes:
            self._stop(413, too_large(self.limits.body_bytes))
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._phase = _IDLE
        self._ended = True
        self.scope[COMPLETE] = True  # type: ignore[literal-required]
        super().on_message_complete()

    def _stop(self, status: int, message: str) -> None:
        self._refused = (status, message)
        raise _RefusedError

    def on_response_complete(self) -> None:
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        if self.pipeline:
            self.flow.resume_reading()
            self._start_asgi_task(*self.pipeline.pop())
            return
        if self._waiting_refusal is not None:
            self._close_with(self._waiting_refusal)
            return
        self.flow.resume_reading()
        limits = self.limits
        seconds = (limits.keep_alive_seconds, limits.header_seconds, limits.body_seconds)
        self.deadline = self.loop.time() + seconds[self._phase]


def too_large(limit: int) -> str:
    return f"The request's body is too large: at most {limit} bytes."
