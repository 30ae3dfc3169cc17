"""The hop from access to a node: requests on pooled connections, and how far each got.

Nothing is ever sent twice by this module. A pooled connection that turns out to be closed
before the first byte of a request was written is replaced, because nothing was said on it;
after that first byte whatever happens is reported with the phase reached, and the caller, who
knows whether money may move, decides.
"""

import ssl
from collections.abc import Sequence
from typing import Literal
from urllib.parse import urlsplit

import msgspec

from bailiwick.runtime.tls import Outgoing
from bailiwick.wire.client import Answer, Bounds, WireError
from bailiwick.wire.pool import Pool, origin

__all__ = ["Answer", "HopError", "HopLimits", "NodeClient", "Phase"]

Phase = Literal["unsent", "sent"]

_BUSY = {
    "busy": "too many requests are waiting for it",
    "no_free_connection": "no connection became free in time",
}
_REASONS = {
    "closed": "the client is closed",
    "connect_timeout": "no connection in time",
    "connection_lost": "no connection: it was reset",
    "connection_stale": "the connection was closed before the request",
    "disconnected": "the connection was closed before the answer was complete",
    "encoded": "the answer was packed, which nobody asked for",
    "garbage": "the answer was not valid HTTP",
    "headers_too_large": "the answer's headers were too large",
    "refused": "the connection was refused",
    "reset": "the connection was reset before the answer was complete",
    "timeout": "no answer in time",
    "too_large": "the answer was too large",
    "truncated": "the connection was closed before the answer was complete",
}


class HopLimits(msgspec.Struct, frozen=True):
    """Bounds of the hop to one node; sizes in bytes, times in seconds.

    ``connections`` and ``waiting`` are each node's own: a flooded or hanging node takes up no more
    of this process than that, and who finds no connection within ``wait_seconds`` is told so.
    ``idle_seconds`` is shorter than the node's keep-alive time: a node does not close a
    connection just while a request is written to it.
    """

    connections: int = 256
    waiting: int = 1024
    connect_seconds: float = 1.0
    wait_seconds: float = 5.0
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


class NodeClient:
    """Pooled connections to one node.

    Args:
        url: ``http://host:port`` of the node, or ``https://``.
        tls: whom to believe and what to show; None: the system's authorities, and nothing.
    """

    def __init__(
        self, url: str, limits: HopLimits | None = None, *, tls: Outgoing | None = None
    ) -> None:
        try:
            parts = urlsplit(url)
            where = origin(f"{parts.scheme}://{parts.netloc}")
        except ValueError:
            raise ValueError(f"a node's url must be http(s)://host:port, not {url!r}") from None
        self.url = url
        self.host = where.host
        self.port = where.port
        self.limits = limits or HopLimits()
        self._bounds = _bounds(self.limits, self.limits.total_seconds)
        self._host_line = f" HTTP/1.1\r\nhost: {where.authority}\r\n".encode("ascii")
        self._pool = Pool(
            where,
            limit=self.limits.connections,
            waiting=self.limits.waiting,
            idle_seconds=self.limits.idle_seconds,
            context=_context(tls) if where.tls else None,
        )

    @property
    def open_connections(self) -> int:
        """Connections open or being opened now."""
        return self._pool.open_connections

    async def request(
        self,
        method: str,
        target: bytes,
        headers: Sequence[bytes] = (),
        body: bytes = b"",
        *,
        timeout: float | None = None,
        answer_bytes: int = 0,
    ) -> Answer:
        """Send one request once.

        Args:
            target: path and query as they go on the wire.
            headers: complete lines, ``name: value`` with CRLF.
            timeout: seconds for everything; None for the limit's.
            answer_bytes: how large the answer may be; 0 for the limit's.

        Raises:
            HopError: no complete answer, with the phase reached.
        """
        lines = [method.encode("ascii"), b" ", target, self._host_line, *headers]
        if body or method != "GET":
            lines.append(b"content-length: %d\r\n\r\n" % len(body))
            lines.append(body)
        else:
            lines.append(b"\r\n")
        try:
            bounds = self._bounds if timeout is None else _bounds(self.limits, timeout)
            if answer_bytes:
                bounds = msgspec.structs.replace(bounds, body_bytes=answer_bytes)
            return await self._pool.exchange(b"".join(lines), bounds)
        except WireError as error:
            raise _hop_error(error) from None

    def retire(self) -> None:
        """Let requests under way finish, and keep no connection after them."""
        self._pool.retire()

    def close(self) -> None:
        """Close every connection; requests under way fail as ``sent``."""
        self._pool.close()


def _context(tls: Outgoing | None) -> ssl.SSLContext:
    return ssl.create_default_context() if tls is None else tls.context


def _bounds(limits: HopLimits, total: float) -> Bounds:
    return Bounds(
        connect_s=limits.connect_seconds,
        wait_s=min(total, limits.wait_seconds),
        silence_s=total,
        total_s=total,
        body_bytes=limits.body_bytes,
        header_bytes=limits.header_bytes,
    )


def _hop_error(error: WireError) -> HopError:
    phase: Phase = "sent" if error.sent else "unsent"
    if error.word in _BUSY:
        return HopError(phase, _BUSY[error.word], busy=True)
    detail = (error.detail or error.word).replace("_", " ")
    if error.word == "tls":
        return HopError(phase, f"tls: {detail}".lower())
    known = _REASONS.get(error.word)
    if known is None:
        return HopError(phase, f"no connection: {detail}".lower())
    return HopError(phase, f"{known}; {error.detail}" if error.sent and error.detail else known)
