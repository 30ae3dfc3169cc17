"""A proxy that stands where stripe-mock would: it keeps what the SDK's own tests ask, and what the
product says to it."""

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import Message
from http.server import BaseHTTPRequestHandler
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from bailiwick.wire.uploads import multipart
from tests.interop.kit import serving

HOP = {"host", "connection", "content-length", "transfer-encoding", "authorization"}


class Asked(NamedTuple):
    """One request; equal ones are one."""

    method: str
    target: str
    body: bytes

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]


class Said(NamedTuple):
    """The answer to it."""

    status: int
    body: bytes


def plain(body: bytes, headers: Message) -> bytes:
    """A body as it is shown and compared: of several parts without their boundary, and without
    what is in files."""
    if headers.get_content_maintype() != "multipart":
        return body
    params, files = multipart.parse(headers["Content-Type"], body)
    return "&".join([*flat(params), *(f"{name}=@" for name in files)]).encode()


def flat(params: dict[str, Any], inside: str = "") -> Iterator[str]:
    """Parameters as a form has them, unescaped."""
    for name, value in params.items():
        where = f"{inside}[{name}]" if inside else name
        if isinstance(value, dict):
            yield from flat(value, where)
        else:
            yield f"{where}={value}"


@contextmanager
def recording(base_url: str, key: str) -> Iterator[tuple[str, dict[Asked, Said]]]:
    """Its address, and what was asked; the answers are to the merchant with this key."""
    upstream = urlsplit(base_url)
    found: dict[Asked, Said] = {}
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def pass_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {n: v for n, v in self.headers.items() if n.lower() not in HOP}
            headers["Authorization"] = f"Bearer {key}"
            said = self.ask(body, headers)
            with lock:
                found[Asked(self.command, self.path, plain(body, self.headers))] = said
            self.send_response(said.status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(said.body)))
            self.end_headers()
            self.wfile.write(said.body)

        def ask(self, body: bytes, headers: dict[str, str]) -> Said:
            assert upstream.hostname is not None
            connection = http.client.HTTPConnection(upstream.hostname, upstream.port, timeout=60)
            try:
                connection.request(self.command, self.path, body or None, headers)
                answer = connection.getresponse()
                return Said(answer.status, answer.read())
            finally:
                connection.close()

        do_GET = do_POST = do_DELETE = pass_on

        def log_message(self, format: str, *args: Any) -> None:
            """Quiet."""

    with serving(Handler) as url:
        yield url, found
