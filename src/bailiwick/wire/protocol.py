"""One client connection of uvicorn's httptools server, with bounds.

uvicorn's protocol by itself accepts headers and request lines of any size and waits for ever
for the rest of a request. ``BoundedProtocol`` bounds bytes, counts and time, and answers what
it refuses in the API's error shape before the connection is closed. ``read_body`` gives an
application the body of which it has seen the end.
"""

import asyncio
from typing import ClassVar

import falcon.asgi
import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from bailiwick.base.errors import ApiError
from bailiwick.wire.heads import (
    HEADER_CHECKS,
    check_version,
    origin_form,
    unreadable,
    without_upgrade,
)
from bailiwick.wire.limits import BODY_BYTES_MAX, Limits, too_large
from bailiwick.wire.peers import Peers, network
from bailiwick.wire.refusals import Unrecognized, refusal
from bailiwick.wire.writes import JoinedWrites, Stall

_LINGER_S = 2.0
_OVERHEAD = 8
COMPLETE = "bailiwick.complete"
"""Set in a request's scope once all of it has arrived."""


class _RefusedError(Exception):
    """Raised inside a parser callback to stop parsing; carries nothing."""


_IDLE, _HEADERS, _BODY = 0, 1, 2
_WATCHED = frozenset({b"host", b"expect", *HEADER_CHECKS})
_TOO_MANY_AT_ONCE = "Too many requests at once on one connection. Wait for answers, then retry."


class BoundedProtocol(HttpToolsProtocol):
    """One client connection.

    ``deadline`` (loop time, 0 for none) is what the server's sweep compares, so that a usual
    request costs no timer. It runs while the client owes us something, and while we owe the
    client an answer it does not.
    """

    limits: ClassVar[Limits] = Limits()
    peers: ClassVar[Peers] = Peers()

    deadline: float = 0.0
    _phase: int = _IDLE
    _header_bytes: int = 0
    _raw_bytes: int = 0
    _body_bytes: int = 0
    _body_most: int = limits.body_bytes
    _overhead_bytes: int = 0
    _queued_bytes: int = 0
    _has_host: bool = False
    _upgrading: bool = False
    _peer: str | None = None
    _turned_away: bool = False
    _plain_url: bytes = b""
    _began: bool = False
    _ended: bool = False
    _refused: tuple[int, str] | None = None
    _waiting_refusal: bytes | None = None
    _lingering: bool = False

    # --- connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.transport = JoinedWrites(transport, self.loop)  # type: ignore[assignment]
        self._stall = Stall()
        self.deadline = self.loop.time() + self.limits.header_seconds
        if self._too_many_of_one_address():
            return
        if len(self.connections) - self.peers.turned_away > self.limits.connections:
            self._refuse(503, "Too many connections. Retry in a moment.")

    def connection_lost(self, exc: Exception | None) -> None:
        if self._peer is not None:
            self.peers.leave(self._peer)
            self._peer = None
        if self._turned_away:
            self._turned_away = False
            self.peers.turned_away -= 1
        super().connection_lost(exc)

    def _too_many_of_one_address(self) -> bool:
        """Count the connection; turn it away if its address has its share already."""
        most = self.limits.connections_per_address
        if not most or self.client is None:
            return False
        self._peer = network(self.client[0])
        number = self.peers.enter(self._peer)
        if number <= most:
            return False
        self._turned_away = True
        self.peers.turned_away += 1
        if number > 2 * most:  # as many wait to be told already
            self._lingering = True
            self.transport.abort()
        else:
            self._refuse(503, "Too many connections from this address. Keep and reuse fewer.")
        return True

    def data_received(self, data: bytes) -> None:
        if self._lingering or self._waiting_refusal is not None:
            return
        before = self._phase
        body_before = self._body_bytes
        self._began = self._ended = False
        if not self._parse(data):
            return
        phase = self._phase
        if phase == _IDLE:
            if self._answering():
                self.deadline = 0.0
            return
        if not self._ended and not self._in_proportion(len(data), before, body_before):
            self._refuse(
                431, "The request's headers, or what is sent beside its body, are too large."
            )
            return
        if phase != before or self._began:
            seconds = self._body_seconds()
            if phase == _HEADERS:
                seconds = self.limits.header_seconds
            self.deadline = self.loop.time() + seconds
        if self._older_is_active():
            self.deadline = 0.0

    def _parse(self, data: bytes) -> bool:
        """Feed the parser; False if the request was refused."""
        while True:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                if not self._upgrading:
                    return self._cannot_go_on()
                data = self._plain_head() + data[upgrade.args[0] :]
                self._new_parser()
            except httptools.HttpParserError as error:
                self._refuse(*(self._refused or unreadable(str(error))))
                return False
            else:
                return not self._upgrading or self._cannot_go_on()

    def _cannot_go_on(self) -> bool:
        """The parser did not stop where it must: no byte after that head can be trusted."""
        self._refuse(400, "The header Upgrade is not supported.")
        return False

    def _plain_head(self) -> bytes:
        """The head that asks for another protocol, as the plain HTTP/1 request that it is too.

        The parser takes a request for complete at the end of such a head, whatever body it
        announces, and stops. Read again without the wish, the body is a body.
        """
        self._upgrading = False
        self._phase = _IDLE
        return without_upgrade(
            self.parser.get_method(), self.url, self.parser.get_http_version(), self.headers
        )

    def _new_parser(self) -> None:
        self.parser = httptools.HttpRequestParser(self)
        # As uvicorn has it: what follows a request that ends the connection is thrown away.
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)

    def _in_proportion(self, size: int, before: int, body_before: int) -> bool:
        """Count what is inside the parser or thrown away by it: a header that never ends, chunk
        extensions, trailers."""
        limits = self.limits
        most = limits.header_bytes + limits.url_bytes
        if self._phase == _HEADERS:
            self._raw_bytes = self._raw_bytes + size if before == _HEADERS else size
            return self._raw_bytes <= most
        if before == _BODY:
            self._overhead_bytes += size - (self._body_bytes - body_before)
        return self._overhead_bytes <= most + _OVERHEAD * self._body_bytes

    def check(self, now: float) -> None:
        """Cut a client that does not take its answer. Past the deadline: tell a client that left
        a request unfinished, and close."""
        if self._stall.seconds(self.transport, now) >= self.limits.write_seconds:  # type: ignore[arg-type]
            self.transport.abort()
            return
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
        answer = refusal(status, message)
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
        self._has_host = False
        self._header_bytes = self._body_bytes = self._raw_bytes = self._overhead_bytes = 0

    def on_url(self, url: bytes) -> None:
        self.url += url
        if len(self.url) > self.limits.url_bytes:
            self._stop(414, "The request's URL is too long.")

    def on_header(self, name: bytes, value: bytes) -> None:
        self._header_bytes += len(name) + len(value) + 4
        if self._header_bytes > self.limits.header_bytes:
            self._stop(431, "The request's headers are too large.")
        if self._phase == _BODY:
            return  # a trailer: counted, not believed
        name = name.lower()
        # RFC 9110 5.5; the parser leaves what stands behind.
        self.headers.append((name, value.strip(b" \t")))
        if name in _WATCHED:
            self._watch(name, value)

    def _watch(self, name: bytes, value: bytes) -> None:
        if name == b"host":
            if self._has_host:
                self._stop(400, "The header Host is given twice.")  # RFC 9112 3.2
            self._has_host = True
        elif name == b"expect":
            self.expect_100_continue = value.strip(b" \t").lower() == b"100-continue"
        elif (refused := HEADER_CHECKS[name](value, self._most())) is not None:
            self._stop(*refused)

    def on_headers_complete(self) -> None:
        if len(self.headers) > self.limits.header_count:
            self._stop(431, "The request has too many headers.")
        if not self.url.isascii():
            self._stop(400, "The request's URL has characters that must be percent-encoded.")
        if (version := self.parser.get_http_version()) != "1.1":
            refused = check_version(version, self.headers)
            if refused is not None:
                self._stop(*refused)
        if len(self.pipeline) >= self.limits.pipelined:
            self._stop(503, _TOO_MANY_AT_ONCE)
        if self.parser.should_upgrade():
            if self.parser.get_method() == b"CONNECT":
                self._stop(400, "CONNECT is not possible here.")
            self._upgrading = True  # begun by _parse, once it is a plain request
            return
        self._raw_bytes = 0
        self._body_most = self._most()
        if self.url == self._plain_url:
            super().on_headers_complete()
        else:
            self._find_target()
        self._phase = _BODY

    def _most(self) -> int:
        """How many bytes the body of this request may have, by its target as it came."""
        most = self.limits.body_bytes
        return self.limits.larger.get(self.url, most) if self.limits.larger else most

    def _body_seconds(self) -> float:
        """How long the body may take."""
        limits = self.limits
        larger = self._body_most > limits.body_bytes
        return limits.larger_seconds if larger else limits.body_seconds

    def _find_target(self) -> None:
        url = origin_form(self.url)
        if url is None:
            served, self.app = self.app, Unrecognized(self.parser.get_method(), self.url)
            self.url = b"/"
            super().on_headers_complete()
            self.app = served
        else:
            self._plain_url = self.url = url
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        if self._body_bytes > self._body_most:
            self._stop(413, too_large(self._body_most))
        if self.pipeline:
            self._queued_bytes += len(body)
            if self._queued_bytes > self.limits.body_bytes:
                self._stop(503, _TOO_MANY_AT_ONCE)
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self._upgrading:
            return
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
            # Read on when nobody waits, or when the body of the one that begins is wanted.
            self._start_asgi_task(*self.pipeline.pop())
            if not self.pipeline:
                self._queued_bytes = 0
                if self._phase == _BODY:
                    self.deadline = self.loop.time() + self._body_seconds()
            return
        if self._waiting_refusal is not None:
            self._close_with(self._waiting_refusal)
            return
        self.flow.resume_reading()
        limits = self.limits
        seconds = (limits.keep_alive_seconds, limits.header_seconds, self._body_seconds())
        self.deadline = self.loop.time() + seconds[self._phase]


async def read_body(request: falcon.asgi.Request, limit: int = BODY_BYTES_MAX) -> bytes:
    """The whole body of a request.

    Falcon gives what it has when a client goes away midway, as if that were all: half of a
    form may well be a valid form with another amount. So its end must have been seen.

    Raises:
        ApiError: 413 for more than ``limit`` bytes; 400 when the body broke off.
    """
    length = request.content_length
    if length is not None and length > limit:
        raise ApiError.invalid(too_large(limit), code=None, status=413)
    body: bytes = await request.stream.readall()
    if len(body) > limit:
        raise ApiError.invalid(too_large(limit), code=None, status=413)
    if not request.scope.get(COMPLETE) or (length is not None and len(body) != length):
        raise ApiError.invalid("The request's body broke off. Nothing was done.", code=None)
    return body
