"""The HTTP transport: carries a channel's request and says exactly how far it got.

What "exactly" rests on, held by tests/unit/test_transport*.py and test_wire_*.py:

* The permit is checked by ``gate``, which ``Connection.start`` calls immediately before it
  writes head and body in one piece; both are ordinary functions, so that nothing can be
  suspended between the check and the write. Before that line the phase is ``unsent``, from it
  on ``sent``.
* Nothing is ever sent twice. A kept connection that was closed, or that holds bytes nobody
  asked for, is not written to; such bytes are never taken for an answer.
* No redirects, cookies or packed answers, and no proxy but the gateway's own; every phase has its
  time and every part of an answer its bound.
"""

import asyncio
import functools
import re
import ssl
from collections.abc import Callable
from functools import lru_cache

from bailiwick.base.clock import boot_ns
from bailiwick.channels.blocks import redact
from bailiwick.channels.contract import (
    INVALID_REQUEST,
    Exchange,
    Permit,
    Phase,
    Profile,
    Reply,
    Request,
)
from bailiwick.channels.transports import Late
from bailiwick.channels.transports.secured import USUAL, Secured
from bailiwick.wire.client import Answer, Bounds, WireError
from bailiwick.wire.pool import Origin, Pool, origin

SCHEMES = ("http", "https")
Recorder = Callable[[dict[str, object]], None]

_KEEPALIVE_S = 15.0
_USER_AGENT = "bailiwick"
_FIXED = "accept-encoding: identity\r\n"
# Visible ASCII without "#"; what stands in the authority is for ``origin`` to judge.
_URL = re.compile(r"(https?://[^/?#]+)(/[!\"$-~]*|\?[!\"$-~]*)?", re.IGNORECASE)
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
# What frames the message or speaks of the connection is this module's alone.
_RESERVED = frozenset(
    "accept-encoding connection content-length expect host keep-alive proxy-connection te trailer"
    " transfer-encoding upgrade".split()
)
# Words of the connection for which the node knows a coarser one.
_WORDS = {
    "busy": "connect_timeout",
    "no_free_connection": "connect_timeout",
    "headers_too_large": "garbage",
}


def make(
    *, limit: int, secrets: tuple[str, ...], late: Late | None, secured: Secured
) -> "HttpTransport":
    """What ``open_transport`` makes. Here no answer outlives its exchange."""
    return HttpTransport(limit=limit, secrets=secrets, secured=secured)


class _Invalid(ValueError):
    """A request that cannot be written as it is."""


class HttpTransport:
    """Kept-alive connections to one provider (or several that may share it).

    Args:
        limit: connections at once to one scheme, host and port; a request beyond it waits
            within ``connect_ms``.
        secured: how its connections are, beyond what the address says.
        recorder: receives each exchange, redacted (``redact.transcript``).
        secrets: literal texts that the recorder must never see.
    """

    def __init__(
        self,
        *,
        limit: int = 256,
        secured: Secured = USUAL,
        recorder: Recorder | None = None,
        secrets: tuple[str, ...] = (),
    ) -> None:
        self._limit = limit
        self._tls = _usual_tls() if secured.tls is None else secured.tls.context
        self._proxy = secured.proxy
        self._recorder = recorder
        self._secrets = secrets
        self._pools: dict[Origin, Pool] = {}
        self._closed = False

    async def connect(self, request: Request, profile: Profile, connections: int = 2) -> Exchange:
        """Open connections beforehand by sending a harmless request over each of them.

        Returns the worst of the exchanges, so that a credential or network fault shows.
        """
        several = (self.exchange(request, profile, None) for _ in range(max(1, connections)))
        order = (Phase.UNSENT, Phase.SENT, Phase.ANSWERED)
        done = await asyncio.gather(*several)
        return min(
            done,
            key=lambda each: (order.index(each.phase), -each.reply.status if each.reply else 0),
        )

    async def exchange(self, request: Request, profile: Profile, permit: Permit | None) -> Exchange:
        """Send a request once and read its answer. Never raises for what the network does.

        ``unsent``: no byte of it was or will be written. ``sent``: it may have arrived, and no
        complete answer came; ``error`` says why. Cancelling the caller leaves the phase unknown:
        treat it as sent.
        """
        done = await self._exchange(request, profile, permit)
        if self._recorder is not None:
            self._recorder(redact.transcript(request, done, self._secrets, profile.secret_headers))
        return done

    async def close(self) -> None:
        """Close all connections; later exchanges are ``unsent``."""
        self._closed = True
        for pool in self._pools.values():
            pool.close()
        await asyncio.sleep(0)  # the sockets are closed in the loop's next turn

    async def _exchange(
        self, request: Request, profile: Profile, permit: Permit | None
    ) -> Exchange:
        if self._closed:
            return Exchange(Phase.UNSENT, None, "closed")

        def gate() -> str | None:
            if permit is not None and boot_ns() >= permit.expires_boot_ns:
                return "permit_expired"
            return None

        try:
            where, target = _split(request.url)
            data = _written(request, where, target)
        except ValueError:
            return Exchange(Phase.UNSENT, None, INVALID_REQUEST)
        pool = self._pools.get(where) or self._pool(where)
        try:
            answer = await pool.exchange(data, _bounds(profile), gate)
        except WireError as fault:
            phase = Phase.SENT if fault.sent else Phase.UNSENT
            return Exchange(phase, None, _WORDS.get(fault.word, fault.word))
        except Exception:  # a fault of our own: only WireError proves that nothing was sent
            return Exchange(Phase.SENT, None, "no_answer")
        return Exchange(Phase.ANSWERED, _reply(answer))

    def _pool(self, where: Origin) -> Pool:
        made = Pool(
            where,
            limit=self._limit,
            idle_seconds=_KEEPALIVE_S,
            context=self._tls,
            proxy=self._proxy,
        )
        return self._pools.setdefault(where, made)


@functools.cache
def _usual_tls() -> ssl.SSLContext:
    """A verifying context; shared, because loading the system's certificates takes long."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


@lru_cache(maxsize=64)
def _limits(connect_ms: int, first_byte_ms: int, total_ms: int, answer_bytes_max: int) -> Bounds:
    return Bounds(
        connect_s=connect_ms / 1000,
        silence_s=first_byte_ms / 1000,
        total_s=total_ms / 1000,
        body_bytes=answer_bytes_max,
        until_close=True,
    )


def _bounds(profile: Profile) -> Bounds:
    return _limits(
        profile.connect_ms, profile.first_byte_ms, profile.total_ms, profile.answer_bytes_max
    )


_origin = lru_cache(maxsize=256)(origin)


def _split(url: str) -> tuple[Origin, str]:
    """Where a request goes, and its target exactly as given.

    Raises:
        ValueError: not an http(s) URL that can be sent as it is.
    """
    found = _URL.fullmatch(url)
    if found is None:
        raise _Invalid("url")
    target = found[2] or "/"
    return _origin(found[1]), target if target[0] == "/" else "/" + target


def _written(request: Request, where: Origin, target: str) -> bytes:
    """A request as it goes on the wire, head and body.

    Raises:
        ValueError: a method, header name or value that would change the message's framing.
    """
    method, headers, body = request.method, request.headers, request.body
    lines = [f"{_method(method)} {target} HTTP/1.1\r\nhost: {where.authority}\r\n{_FIXED}"]
    if "user-agent" not in headers:
        lines.append(f"user-agent: {_USER_AGENT}\r\n")
    for name, value in headers.items():
        if not (value.isascii() and value.isprintable()):
            raise _Invalid("header value")
        lines.append(f"{_name(name)}: {value}\r\n")
    if body or method != "GET":
        lines.append(f"content-length: {len(body)}\r\n\r\n")
    else:
        lines.append("\r\n")
    return "".join(lines).encode("ascii") + body


@lru_cache(maxsize=256)
def _name(name: str) -> str:
    if not _TOKEN.fullmatch(name) or name.lower() in _RESERVED:
        raise _Invalid("header name")
    return name


@lru_cache(maxsize=16)
def _method(method: str) -> str:
    # An answer to HEAD announces a body that does not come; CONNECT's is no HTTP any more.
    if not _TOKEN.fullmatch(method) or method.upper() in ("HEAD", "CONNECT"):
        raise _Invalid("method")
    return method


def _reply(answer: Answer) -> Reply:
    headers = {
        name.decode("latin-1"): value.decode("latin-1") for name, value in answer.headers.items()
    }
    return Reply(answer.status, headers, answer.body)
