"""A provider of the tests as a server on loopback, and how it misbehaves."""

import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import NamedTuple

from tests.interop.kit import serving
from tests.providers.books import Books

FAULTS = ("lost_before", "lost_after", "error_before", "error_after", "forged")
"""Words for what a provider does with its next calls. ``lost``: the connection is closed and there
is no answer, before it does anything or after; ``error``: a 500 likewise; ``forged``: it is done,
and the answer is not signed by the provider."""


class Asked(NamedTuple):
    """A request as it arrived; header names are lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


class Said(NamedTuple):
    """An answer."""

    status: int
    headers: dict[str, str]
    body: bytes


class Told(NamedTuple):
    """A callback that the provider makes: to be posted to the address that it was told."""

    headers: dict[str, str]
    body: bytes


class Provider:
    """What every one has: books, what was asked of it, and faults that it has next.

    Attributes:
        asked: the names of the operations that arrived, in order.
    """

    def __init__(self) -> None:
        self.books = Books()
        self.asked: list[str] = []
        self.faults: dict[str, list[str]] = defaultdict(list)
        self.url = ""
        self._lock = threading.Lock()

    # What each is by itself

    def named(self, asked: Asked) -> str:
        """Which operation that is, in the provider's own words."""
        raise NotImplementedError

    def answer(self, operation: str, asked: Asked) -> Said:
        """Do it, and say what was done."""
        raise NotImplementedError

    def forged(self, said: Said) -> Said:
        """The answer as somebody else would sign it."""
        raise NotImplementedError

    # What all do

    def called(self, operation: str) -> int:
        """How often an operation arrived."""
        return self.asked.count(operation)

    def handle(self, asked: Asked) -> Said | None:
        """Answer a request; None: the connection is closed instead."""
        operation = self.named(asked)
        with self._lock:
            self.asked.append(operation)
            words = self.faults[operation]
            fault = words.pop(0) if words else ""
        assert fault in ("", *FAULTS)
        if fault == "lost_before":
            return None
        trouble = Said(500, {"content-type": "text/html"}, b"<html>busy</html>")
        if fault == "error_before":
            return trouble
        said = self.answer(operation, asked)
        if fault == "lost_after":
            return None
        if fault == "error_after":
            return trouble
        return self.forged(said) if fault == "forged" else said

    @contextmanager
    def serve(self) -> Iterator[str]:
        """Serve on loopback; gives the address."""
        with serving(_handler(self)) as self.url:
            yield self.url


def _handler(provider: Provider) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _do(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            headers = {name.lower(): value for name, value in self.headers.items()}
            said = provider.handle(Asked(self.command, self.path, headers, body))
            if said is None:
                self.close_connection = True
                return
            self.send_response(said.status)
            for name, value in said.headers.items():
                self.send_header(name, value)
            if said.status != 204:
                self.send_header("Content-Length", str(len(said.body)))
            self.end_headers()
            self.wfile.write(said.body)

        do_GET = do_POST = _do

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    return Handler
