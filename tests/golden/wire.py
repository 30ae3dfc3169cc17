"""One HTTP request over a plain socket, so that also what no client library would send is sent."""

import contextlib
import http.client
import socket
import urllib.parse
from dataclasses import dataclass

TIMEOUT_S = 60


@dataclass(frozen=True)
class Answer:
    """What came back: the status, the headers in lower case, the body's bytes."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


def head(method: str, target: str, host: str, headers: list[tuple[str, str]]) -> bytes:
    """The head of a request that wants the connection closed after its answer."""
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}"]
    lines += [f"{name}: {value}" for name, value in headers]
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1")


def exchange(base_url: str, request: bytes, method: str) -> Answer:
    """Send a request's bytes to a server; its whole answer.

    Raises:
        OSError, http.client.HTTPException: there was none, or not all of it.
    """
    parts = urllib.parse.urlsplit(base_url)
    address = parts.hostname or "", parts.port or 80
    with socket.create_connection(address, timeout=TIMEOUT_S) as stream:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            stream.sendall(request)  # may be refused before its end
        answer = http.client.HTTPResponse(stream, method=method)
        answer.begin()
        headers = [(name.lower(), value) for name, value in answer.getheaders()]
        return Answer(answer.status, headers, answer.read())
