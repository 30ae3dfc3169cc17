"""Webhooks: events owed to a merchant's endpoints, signed, delivered at least once, in order.

What is owed is written with the event itself, so nothing can be forgotten. Signatures:
https://docs.stripe.com/webhooks (``Stripe-Signature``) and, beside it,
https://www.standardwebhooks.com.
"""

import asyncio
import base64
import hashlib
import hmac
import random
from typing import Any

import aiohttp
import asyncpg
import msgspec
import structlog

from bailiwick.base.clock import now_ms
from bailiwick.node import render
from bailiwick.node.addresses import GuardedResolver, allowed_url
from bailiwick.shell.database_errors import DATABASE_ERRORS
from bailiwick.shell.loops import forever
from bailiwick.store.database import Store

BATCH = 64
LEASE_MS = 60_000
TIMEOUT_S = 15.0
TRIES_MAX = 40
BACKOFF_MAX_MS = 4 * 3_600_000
"""With doubling from one second, forty tries reach over more than three days."""
ANSWER_BYTES_MAX = 65_536
GONE = 410

log = structlog.get_logger()


class Endpoint(msgspec.Struct, frozen=True):
    """A merchant's endpoint."""

    id: str
    merchant: str
    livemode: bool
    url: str
    secret: str
    events: list[str]
    status: str
    created_ms: int
    details: dict[str, Any]

    def wants(self, event_type: str) -> bool:
        """Whether it subscribed; ``*`` means all but our own additions."""
        if self.status != "enabled":
            return False
        if event_type in self.events:
            return True
        return "*" in self.events and not event_type.startswith("bailiwick.")


class Endpoints:
    """All endpoints of this node, in memory; the table is the truth."""

    def __init__(self) -> None:
        self._by_owner: dict[tuple[str, bool], list[Endpoint]] = {}
        self._by_id: dict[str, Endpoint] = {}

    def wanting(self, merchant: str, livemode: bool, event_type: str) -> list[str] | None:
        """Ids of the endpoints to which an event is owed; None for none."""
        owned = self._by_owner.get((merchant, livemode))
        if not owned:
            return None
        return [each.id for each in owned if each.wants(event_type)] or None

    def get(self, identifier: str) -> Endpoint | None:
        """An endpoint by id."""
        return self._by_id.get(identifier)

    def of(self, merchant: str, livemode: bool) -> list[Endpoint]:
        """A merchant's endpoints, newest first."""
        return self._by_owner.get((merchant, livemode), [])

    async def load(self, store: Store) -> None:
        """Read the table again."""
        found = []
        for row in await store.rows("endpoint_list"):
            values = list(row)
            values[5] = msgspec.json.decode(values[5])
            values[8] = msgspec.json.decode(values[8])
            found.append(Endpoint(*values))
        self._by_id = {each.id: each for each in found}
        by_owner: dict[tuple[str, bool], list[Endpoint]] = {}
        for each in found:
            by_owner.setdefault((each.merchant, each.livemode), []).append(each)
        self._by_owner = by_owner


def signatures(secret: str, event_id: str, body: bytes, now_s: int) -> dict[str, str]:
    """The headers that prove an event to be ours, in both conventions."""
    stamp = str(now_s)
    stripe = hmac.new(secret.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
    key = base64.b64decode(secret.removeprefix("whsec_") + "==")
    content = f"{event_id}.{stamp}.".encode() + body
    standard = base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
    return {
        "Stripe-Signature": f"t={stamp},v1={stripe}",
        "webhook-id": event_id,
        "webhook-timestamp": stamp,
        "webhook-signature": f"v1,{standard}",
    }


def backoff_ms(tries: int, share: float) -> int:
    """How long to wait after a failed try: doubling, bounded, spread by ``share`` (0 to 1)."""
    full = min(1_000 * 2 ** min(tries, 20), BACKOFF_MAX_MS)
    return int(full * (0.75 + share / 2))


class Deliverer:
    """Delivers what is owed; one slow endpoint delays only itself."""

    def __init__(
        self, store: Store, endpoints: Endpoints, *, private: bool, every_s: float
    ) -> None:
        self._store = store
        self._endpoints = endpoints
        self._private = private
        self._every_s = every_s
        self._session: aiohttp.ClientSession | None = None
        self._running: set[asyncio.Task[None]] = set()
        self._random = random.Random()
        self.delivered = 0
        self.failed = 0

    async def run(self) -> None:
        """Deliver for ever."""
        connector = aiohttp.TCPConnector(
            limit=128, limit_per_host=8, resolver=GuardedResolver(self._private)
        )
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        async with aiohttp.ClientSession(
            connector=connector,
            timeout=timeout,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
        ) as self._session:
            await forever("webhooks", self._step)

    async def _step(self) -> float:
        claimed = await self._round()
        return 0.0 if claimed >= BATCH else self._every_s

    async def _round(self) -> int:
        room = 4 * BATCH - len(self._running)
        if room <= 0:
            return 0
        rows = await self._store.rows(
            "deliveries_due", min(BATCH, room), LEASE_MS, self._store.epoch()
        )
        for row in rows:
            task = asyncio.ensure_future(self._deliver(row))
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        return len(rows)

    async def _deliver(self, row: asyncpg.Record) -> None:
        endpoint = self._endpoints.get(row["endpoint"])
        if endpoint is None or endpoint.status != "enabled":
            await self._done(row, 0, None)
            return
        body = render.encode(
            render.event(
                row["event"],
                row["type"],
                render.event_body(row["body"], row["content"]),
                row["livemode"],
                row["payment"],
                row["seq"],
            )
        )
        status = await self._post(endpoint, row["event"], bytes(body))
        if 200 <= status < 300:
            self.delivered += 1
            await self._done(row, status, None)
            return
        self.failed += 1
        if status == GONE or row["tries"] >= TRIES_MAX:
            log.warning("webhook_given_up", webhook=endpoint.id, status=status)
            await self._done(row, status, None)
            if status == GONE:
                await self._store.rows("endpoint_disable", endpoint.id)
            return
        await self._done(row, status, backoff_ms(row["tries"], self._random.random()))

    async def _post(self, endpoint: Endpoint, event_id: str, body: bytes) -> int:
        """HTTP status of one try; 0 for no answer."""
        assert self._session is not None
        if allowed_url(endpoint.url, private=self._private) is not None:
            return 0
        headers = signatures(endpoint.secret, event_id, body, now_ms() // 1000)
        headers["Content-Type"] = "application/json"
        headers["User-Agent"] = "bailiwick-webhooks"
        try:
            async with self._session.post(
                endpoint.url, data=body, headers=headers, allow_redirects=False
            ) as answer:
                await answer.content.read(ANSWER_BYTES_MAX)
                return answer.status
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError):
            return 0

    async def _done(self, row: asyncpg.Record, status: int, again_ms: int | None) -> None:
        try:
            await self._store.rows("delivery_done", row["event"], row["endpoint"], status, again_ms)
        except DATABASE_ERRORS:
            log.warning("webhook_note_lost", webhook=row["endpoint"])  # its lease runs out
