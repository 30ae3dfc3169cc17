"""What the tests with foreign programs share: the sandbox's books, a merchant's server, waiting."""

import http.client
import json
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeVar
from urllib.parse import urlencode, urlsplit

from tests.waiting import PATIENCE_S

T = TypeVar("T")
Row = dict[str, Any]


def until(look: Callable[[], T], seconds: float = PATIENCE_S) -> T:
    """What `look` gives once that is true. Fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < deadline, f"not within {seconds:g} s"
        time.sleep(0.05)


class Books:
    """What the providers of the sandbox did, by their own account.

    Our reference of a charge is the id that the API shows as the charge's.
    """

    def __init__(self, url: str) -> None:
        self._url = url

    def all(self) -> dict[str, list[Row]]:
        with urllib.request.urlopen(self._url, timeout=60) as answer:
            found: dict[str, list[Row]] = json.load(answer)
        return found

    def charge(self, reference: str) -> Row:
        """The one charge with this reference, with its captures, voids and refunds."""
        books = self.all()
        (charge,) = (row for row in books["charges"] if row["reference"] == reference)
        for kind in ("captures", "voids", "refunds"):
            charge[kind] = [
                row
                for row in books[kind]
                if row["charge"] == charge["id"] and row["provider"] == charge["provider"]
            ]
        return charge

    def having(self, **values: Any) -> list[Row]:
        """Charges with these values, e.g. `description`."""
        return [
            row
            for row in self.all()["charges"]
            if all(row.get(name) == value for name, value in values.items())
        ]


class Hit:
    """One request to the merchant's server."""

    def __init__(self, body: bytes, headers: dict[str, str]) -> None:
        self.body = body
        self.headers = headers

    @property
    def event(self) -> Row:
        found: Row = json.loads(self.body)
        return found


class Sink:
    """A merchant's server for webhooks. `statuses`: its next answers; then 200."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.hits: list[Hit] = []
        self.statuses: list[int] = []

    def about(self, payment: str, type_: str | None = None) -> list[Hit]:
        """What came about a payment, in the order of arrival."""
        return [
            hit
            for hit in list(self.hits)
            if hit.event["payment"] == payment and type_ in (None, hit.event["type"])
        ]


@contextmanager
def merchant_server() -> Iterator[Sink]:
    """A server on loopback that keeps what is posted to it."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            sink.hits.append(Hit(body, dict(self.headers)))
            self.send_response(sink.statuses.pop(0) if sink.statuses else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Quiet."""

    with serving(Handler) as url:
        sink = Sink(url)
        yield sink


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler], port: int = 0) -> Iterator[str]:
    """The handler's server in a thread; gives its address."""
    server = ThreadingHTTPServer(("127.0.0.1", port), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Raw:
    """A complete answer with nothing read into it."""

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    def json(self) -> Row:
        found: Row = json.loads(self.body)
        return found


def call(
    method: str,
    url: str,
    key: str | None = None,
    form: list[tuple[str, str]] | None = None,
    headers: dict[str, str] | None = None,
) -> Raw:
    """One HTTP exchange without any SDK; redirects are not followed."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    sent = dict(headers or {})
    if key is not None:
        sent["Authorization"] = f"Bearer {key}"
    body = None
    if form is not None:
        body = urlencode(form)
        sent["Content-Type"] = "application/x-www-form-urlencoded"
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=60)
    try:
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        connection.request(method, target, body, sent)
        answer = connection.getresponse()
        found = {name.lower(): value for name, value in answer.getheaders()}
        return Raw(answer.status, found, answer.read())
    finally:
        connection.close()
