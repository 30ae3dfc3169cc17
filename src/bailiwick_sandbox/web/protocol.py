"""One client connection of the sandbox: uvicorn's protocol, strict about where a request ends."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from http import HTTPStatus

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from bailiwick_sandbox.web.exchange import error

MAX_HEAD_BYTES = 65_536
_VERSIONS = frozenset({"1.0", "1.1"})
_BAD_VERSION = frozenset({"Invalid HTTP version", "Pause on PRI/Upgrade"})
_HOP = frozenset({b"close", b"keep-alive"})


class _RefusedError(Exception):
    """Raised inside a parser callback to stop parsing; carries nothing."""


class Protocol(HttpToolsProtocol):
    """uvicorn's protocol with a bound on the head, and the transport within reach of faults.

    A header's value is taken without white space around it (RFC 9110 5.5), a trailer is no
    header, and a request that asks for another protocol is served as the plain request that it
    is too, with its whole body (RFC 9110 7.8): the parser would end it at its head.
    """

    _in_head = True
    _head_bytes = 0
    _upgrading = False
    _refused: tuple[int, str] | None = None
    _over = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Keep the transport where a request finds it."""
        super().connection_made(transport)
        self.app_state = {**self.app_state, "transport": transport}

    def data_received(self, data: bytes) -> None:
        """Feed the parser unless the request is refused (uvicorn sets no bound)."""
        if self._over:
            return
        self._unset_keepalive_if_required()
        self._head_bytes += len(data)
        while True:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                if not self._upgrading:
                    self._refuse(400, "The header Upgrade is not supported.")
                    return
                data = self._plain_head() + data[upgrade.args[0] :]
                self._new_parser()
                continue
            except httptools.HttpParserError as problem:
                self._refuse(*(self._refused or _unreadable(str(problem))))
                return
            break
        if self._upgrading:
            self._refuse(400, "The header Upgrade is not supported.")
        elif self._in_head and self._head_bytes > MAX_HEAD_BYTES:
            self._refuse(431, "The request's headers are too large.")

    def _plain_head(self) -> bytes:
        self._upgrading = False
        return _without_upgrade(
            self.parser.get_method(), self.url, self.parser.get_http_version(), self.headers
        )

    def _new_parser(self) -> None:
        self.parser = httptools.HttpRequestParser(self)
        # As uvicorn has it: what follows a request that ends the connection is thrown away.
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)

    def _refuse(self, status: int, message: str) -> None:
        """Answer the newest request with an error and close. Where an earlier one still waits
        for its answer, close alone: it must not take this for its own."""
        self._over = True
        if self.transport.is_closing():
            return
        # The annotation hides that there is no cycle before the first request.
        begun = not getattr(self.cycle, "response_complete", True)
        if self._in_head:
            silent = begun
        else:
            silent = bool(self.pipeline) or not begun or self.cycle.response_started
        if not silent:
            body = error(status, "invalid_request", message).body
            head = (
                f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n"
                "content-type: application/json\r\n"
                f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
            )
            self.transport.write(head.encode("ascii") + body)
        self.transport.close()

    def _stop(self, status: int, message: str) -> None:
        self._refused = (status, message)
        raise _RefusedError

    # --- parser callbacks

    def on_message_begin(self) -> None:
        """A new head begins."""
        self._in_head = True
        self._head_bytes = 0
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header, or a trailer, which is not believed."""
        if not self._in_head:
            return
        name = name.lower()
        if name == b"transfer-encoding" and value.lower() != b"chunked":
            self._stop(400, "The header Transfer-Encoding can be chunked and nothing else.")
        value = value.strip(b" \t")
        if name == b"content-length" and (len(value) > 20 or not value.isdigit()):
            self._stop(400, "The header Content-Length is no plain number.")
        if name == b"content-encoding" and value.lower() not in (b"", b"identity"):
            self._stop(415, "The header Content-Encoding is not supported.")
        if name == b"host" and any(each == b"host" for each, _ in self.headers):
            self._stop(400, "The header Host is given twice.")
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is over; the body has a bound of its own."""
        version = self.parser.get_http_version()
        if version not in _VERSIONS:
            self._stop(*_unreadable("Invalid HTTP version"))
        if version == "1.0" and any(name == b"transfer-encoding" for name, _ in self.headers):
            self._stop(400, "HTTP/1.0 has no Transfer-Encoding: send Content-Length.")
        if not self.url.isascii():
            self._stop(400, "The request's URL has characters that must be percent-encoded.")
        if self.parser.should_upgrade():
            if self.parser.get_method() == b"CONNECT":
                self._stop(400, "CONNECT is not possible here.")
            self._upgrading = True
            return
        super().on_headers_complete()
        self._in_head = False

    def on_message_complete(self) -> None:
        """All of the request is there."""
        if not self._upgrading:
            super().on_message_complete()
            self._in_head = True
            self._head_bytes = 0


def _without_upgrade(
    method: bytes, target: bytes, version: str, headers: Iterable[tuple[bytes, bytes]]
) -> bytes:
    lines = [b"%b %b HTTP/%b" % (method, target, version.encode("ascii"))]
    for name, value in headers:
        if name in (b"upgrade", b"http2-settings"):
            continue
        if name == b"connection":
            options = (each.strip().lower() for each in value.split(b","))
            value = b", ".join(each for each in options if each in _HOP)
            if not value:
                continue
        lines.append(b"%b: %b" % (name, value))
    return b"\r\n".join(lines) + b"\r\n\r\n"


def _unreadable(reason: str) -> tuple[int, str]:
    if reason in _BAD_VERSION:
        return 505, "Only HTTP/1.1 and HTTP/1.0 are spoken here."
    return 400, "The request is not valid HTTP/1.1."
