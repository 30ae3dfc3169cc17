"""The HTTP transport: carries a channel's request and says exactly how far it got.

What "exactly" rests on, read in aiohttp 3.14's source and held by tests/unit/test_transport.py:

* ``ClientRequest.send`` only buffers the headers; on Python 3.11 a *separate task* writes them
  together with the body, so ``on_request_headers_sent`` fires one turn of the event loop before
  the first byte. The gate is therefore inside the body (``_Body.write_with_length``): from its
  check to ``transport.write`` there is no suspension (``StreamWriter.write`` awaits nothing
  before it without a trace and without compression).
* aiohttp resends idempotent methods on a reused connection that broke; this is switched off, and
  a body refuses to be written twice.
* Once ``exchange`` has returned, its gate is shut: a write cannot happen afterwards.
* Bytes that arrive on an idle connection would be taken for the next request's answer: a
  connection that holds any is not written to, and an answer before the write is not believed.
"""

import asyncio
import functools
import ssl
from collections.abc import Callable
from functools import lru_cache

import aiohttp
from aiohttp.abc import AbstractStreamWriter
from aiohttp.client_proto import ResponseHandler
from aiohttp.http import StreamWriter
from aiohttp.payload import BytesPayload
from yarl import URL

from bailiwick.base.clock import boot_ns
from bailiwick.channels import redact
from bailiwick.channels.base import Exchange, Permit, Phase, Profile, Reply, Request

Recorder = Callable[[dict[str, object]], None]

_HEADER_LINE_MAX = 8_190
_HEADERS_MAX = 100
_KEEPALIVE_S = 15.0
_USER_AGENT = "bailiwick"
_SKIP = frozenset({"Accept", "Accept-Encoding", "Content-Type", "User-Agent"})


@lru_cache(maxsize=256)
def _url(text: str) -> URL:
    return URL(text, encoded=True)


@lru_cache(maxsize=64)
def _timeout(total_ms: int, connect_ms: int, first_byte_ms: int) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(
        total=total_ms / 1000, connect=connect_ms / 1000, sock_read=first_byte_ms / 1000
    )


class _NotSent(Exception):
    """The gate was shut: nothing of this request was written."""


class _Body(BytesPayload):
    """A request's body, and the gate that its first byte has to pass."""

    def __init__(self, value: bytes, permit: Permit | None) -> None:
        super().__init__(value)
        self._permit = permit
        self.sent = False
        self.shut = False
        self.refusal: str | None = None

    async def write_with_length(
        self, writer: AbstractStreamWriter, content_length: int | None
    ) -> None:
        self.refusal = self._reason(writer)
        if self.refusal is not None:
            raise _NotSent(self.refusal)
        self.sent = True
        await writer.write(self._value)

    def _reason(self, writer: AbstractStreamWriter) -> str | None:
        if self.sent or self.shut:
            return "closed"
        protocol = writer.protocol if isinstance(writer, StreamWriter) else None
        if not isinstance(protocol, ResponseHandler) or not protocol.is_connected():
            return "connection_lost"
        if protocol.should_close:
            return "connection_stale"
        if self._permit is not None and boot_ns() >= self._permit.expires_boot_ns:
            return "permit_expired"
        return None


class _Stopped(Exception):
    """An answer that is not read to its end, and why."""


class HttpTransport:
    """A pool of kept-alive connections to one provider (or several that may share it).

    Args:
        limit: connections at once; a request beyond it waits within ``connect_ms``.
        ca_file: certificates to trust instead of the system's.
        client_cert: certificate and key file for providers that want mutual TLS.
        recorder: receives each exchange, redacted (``redact.transcript``).
        secrets: literal texts that the recorder must never see.
    """

    def __init__(
        self,
        *,
        limit: int = 256,
        ca_file: str | None = None,
        client_cert: tuple[str, str] | None = None,
        recorder: Recorder | None = None,
        secrets: tuple[str, ...] = (),
    ) -> None:
        self._limit = limit
        self._tls = _trust(ca_file, client_cert)
        self._recorder = recorder
        self._secrets = secrets
        self._session: aiohttp.ClientSession | None = None
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
        body = _Body(request.body, permit)
        try:
            reply = await self._send(request, profile, body)
            done = Exchange(Phase.ANSWERED, reply)
        except Exception as fault:  # whatever it is: the phase is what money depends on
            phase = Phase.SENT if body.sent else Phase.UNSENT
            done = Exchange(phase, None, body.refusal or _word(fault, sent=body.sent))
        finally:
            body.shut = True
        if self._recorder is not None:
            self._recorder(redact.transcript(request, done, self._secrets))
        return done

    async def close(self) -> None:
        """Close all connections; later exchanges are ``unsent``."""
        self._closed = True
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _send(self, request: Request, profile: Profile, body: _Body) -> Reply:
        if self._closed:
            raise _NotSent("closed")
        session = self._session or self._open()
        headers = {"user-agent": _USER_AGENT, "accept-encoding": "identity", **request.headers}
        answer = await session.request(
            request.method,
            _url(request.url),
            data=body,
            headers=headers,
            timeout=_timeout(profile.total_ms, profile.connect_ms, profile.first_byte_ms),
            allow_redirects=False,
        )
        complete = False
        try:
            if not body.sent:
                raise _NotSent("answer_before_request")
            content = await _read(answer, profile.answer_bytes_max)
            complete = True
        finally:
            if not complete:
                answer.close()
        headers = {name.lower(): value for name, value in answer.headers.items()}
        return Reply(answer.status, headers, content)

    def _open(self) -> aiohttp.ClientSession:
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=self._limit, ssl=self._tls, keepalive_timeout=_KEEPALIVE_S
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=_SKIP,
            auto_decompress=False,
            trust_env=False,
            max_line_size=_HEADER_LINE_MAX,
            max_field_size=_HEADER_LINE_MAX,
            max_headers=_HEADERS_MAX,
        )
        # No public switch; aiohttp's own test client does the same.
        session._retry_connection = False
        self._session = session
        return session


@functools.cache
def _trust(ca_file: str | None, client_cert: tuple[str, str] | None) -> ssl.SSLContext:
    """A verifying TLS context; shared, because loading the certificates takes long."""
    context = ssl.create_default_context(cafile=ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if client_cert is not None:
        context.load_cert_chain(*client_cert)
    return context


async def _read(answer: aiohttp.ClientResponse, limit: int) -> bytes:
    encoding = answer.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("", "identity"):
        raise _Stopped("encoded")  # we asked for none: an unpacked bomb has no bound
    if (answer.content_length or 0) > limit:
        raise _Stopped("too_large")
    parts: list[bytes] = []
    size = 0
    while part := await answer.content.readany():
        size += len(part)
        if size > limit:
            raise _Stopped("too_large")
        parts.append(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _word(fault: Exception, *, sent: bool) -> str:
    """A fault as a short word; the libraries' types and texts stay in here."""
    if isinstance(fault, _Stopped | _NotSent):
        return str(fault)
    return _sent_word(fault) if sent else _unsent_word(fault)


def _unsent_word(fault: Exception) -> str:
    if isinstance(fault, aiohttp.ClientConnectorDNSError):
        return "dns"
    if isinstance(fault, aiohttp.ClientSSLError | ssl.SSLError):
        return "tls"
    if isinstance(fault, TimeoutError):
        return "connect_timeout"
    if isinstance(fault, aiohttp.ClientConnectorError):
        return "refused" if isinstance(fault.os_error, ConnectionRefusedError) else "unreachable"
    if isinstance(fault, aiohttp.ClientConnectionError):
        return "connection_lost"
    return "invalid_request" if isinstance(fault, ValueError) else "not_sent"


def _sent_word(fault: Exception) -> str:
    if isinstance(fault, aiohttp.SocketTimeoutError):
        return "read_timeout"
    if isinstance(fault, TimeoutError):
        return "timeout"
    if isinstance(fault, aiohttp.ServerDisconnectedError):
        return "disconnected"
    if isinstance(fault, aiohttp.ClientPayloadError):
        return "truncated"
    if isinstance(fault, aiohttp.ClientResponseError):
        return "garbage"
    if isinstance(fault, OSError | aiohttp.ClientConnectionError):
        return "reset"
    return "no_answer"
