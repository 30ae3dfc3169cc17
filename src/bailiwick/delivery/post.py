"""One try of a delivery over HTTP: posted, signed, never redirected, and what came of it."""

import asyncio
import time
from types import TracebackType

import aiohttp

from bailiwick.base.clock import now_ms
from bailiwick.delivery.addresses import allowed_url
from bailiwick.delivery.lookups import ON_BEHALF, GuardedResolver, NotPublic
from bailiwick.delivery.tries import Told, bounded_body, bounded_headers
from bailiwick.delivery.webhooks import USER_AGENT, Endpoint, signatures

TIMEOUT_S = 15.0
ANSWER_BYTES_MAX = 65_536


class Poster:
    """Posts events to endpoints.

    Redirects are answers like any other that is not 2xx: followed, they would lead where nobody
    has looked. Every try checks the URL, every connection the addresses of its name, and the
    connection goes to a checked address (``lookups``).
    """

    def __init__(self, *, private: bool, resolver: GuardedResolver | None = None) -> None:
        self._private = private
        self._resolver = resolver
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> "Poster":
        # No limits here: slots are the limit, and one by host would be shared by merchants. Answers
        # are not unpacked: a small one could become large.
        connector = aiohttp.TCPConnector(
            limit=0,
            limit_per_host=0,
            use_dns_cache=False,
            resolver=self._resolver or GuardedResolver(self._private),
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._session is not None
        await self._session.close()

    async def post(self, endpoint: Endpoint, event_id: str, body: bytes) -> Told:
        """Try once; no answer is told as a failure."""
        began_ms, began_s = now_ms(), time.monotonic()
        ON_BEHALF.set(endpoint.merchant)
        found: Told | str
        if allowed_url(endpoint.url, private=self._private) is not None:
            found = "address_refused"
        else:
            try:
                found = await self._exchange(endpoint, event_id, body, began_ms, began_s)
            except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
                found = failure_of(error)
        if isinstance(found, Told):
            return found
        return Told(endpoint.url, began_ms, _since(began_s), failure=found)

    async def _exchange(
        self, endpoint: Endpoint, event_id: str, body: bytes, began_ms: int, began_s: float
    ) -> Told:
        assert self._session is not None
        headers = signatures(endpoint.secrets(began_ms), event_id, body, began_ms // 1000)
        headers["Content-Type"] = "application/json"
        headers["User-Agent"] = USER_AGENT
        async with self._session.post(
            endpoint.url, data=body, headers=headers, allow_redirects=False
        ) as answer:
            read = await answer.content.read(ANSWER_BYTES_MAX)
            more = not answer.content.at_eof()
            took_ms = _since(began_s)
            said, cut = bounded_body(read, more=more)
            shown = bounded_headers(list(answer.headers.items()))
            return Told(
                endpoint.url, began_ms, took_ms, answer.status, None, shown, said, cut
            )  # fmt: skip


def _since(began_s: float) -> int:
    return max(0, int((time.monotonic() - began_s) * 1000))


def failure_of(error: BaseException) -> str:
    """Why there was no answer, in one word of a few."""
    causes: list[BaseException] = [error]
    while (cause := causes[-1].__cause__ or causes[-1].__context__) is not None:
        if cause in causes:
            break
        causes.append(cause)
    if any(isinstance(each, NotPublic) for each in causes):
        return "address_refused"
    if isinstance(error, (TimeoutError, asyncio.TimeoutError)):
        return "timeout"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "name_not_resolved"
    if isinstance(error, (aiohttp.ClientSSLError, aiohttp.ServerFingerprintMismatch)):
        return "tls"
    if isinstance(error, aiohttp.ClientConnectorError):
        return "not_connected"
    if isinstance(error, (aiohttp.ServerDisconnectedError, ConnectionError)):
        return "disconnected"
    return "no_http"
