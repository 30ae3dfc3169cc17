"""Telling a merchant's side what became of a charge, a refund, a dispute or a payout.

A callback is a POST of ``{"id","type","created","data"}`` with the header ``Sandbox-Signature:
t=<unix seconds>,v1=<hex HMAC-SHA256 of "t.body" under the callback secret>``. Any 2xx answer ends
it; anything else is tried again for an hour, with growing pauses of at most 15 s. Redirects
are not followed.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os
import random
import time

import aiohttp
import msgspec

from bailiwick_sandbox.bank.answers import ChargeView, DisputeView, PayoutView, RefundView
from bailiwick_sandbox.config import ProviderConfig
from bailiwick_sandbox.faults import Fault

View = ChargeView | RefundView | DisputeView | PayoutView
# For an hour, as real ones do for hours and days: a node may be down at the moment of any few of
# them, and of some changes a provider is the only one that tells.
RETRY_AFTER_S = (0.2, 0.5, 1.0, 2.0, 4.0, 8.0, *[15.0] * 240)
MAX_WAITING = 10_000
MAX_CONNECTIONS = 32
TIMEOUT_S = 5.0
STALE_S = 3600


class Event(msgspec.Struct, frozen=True):
    """The body of a callback."""

    id: str
    type: str
    created: int
    data: View


class Delivery(msgspec.Struct, frozen=True):
    """One callback to one address; ``age_s`` antedates its signature."""

    url: str
    body: bytes
    secret: str
    age_s: int = 0
    retries: bool = True


def sign(secret: str, body: bytes, at_s: int) -> str:
    """The value of the signature header."""
    mac = hmac.new(secret.encode(), b"%d." % at_s + body, hashlib.sha256)
    return f"t={at_s},v1={mac.hexdigest()}"


class Callbacks:
    """The queue of callbacks and the workers that send them."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None
        self._gate = asyncio.Semaphore(MAX_CONNECTIONS)
        self._tasks: set[asyncio.Task[bool]] = set()
        self._encode = msgspec.json.Encoder().encode
        self.counts = dict.fromkeys(("delivered", "retried", "given_up", "dropped", "refused"), 0)

    def start(self) -> None:
        """Open the client; needs a running loop."""
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
            connector=aiohttp.TCPConnector(limit=MAX_CONNECTIONS),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": "bailiwick-sandbox"},
            trust_env=False,
        )

    async def close(self) -> None:
        """Drop what is waiting and close the client."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    @property
    def waiting(self) -> int:
        """How many deliveries are under way or waiting for their next try."""
        return len(self._tasks)

    def send(
        self,
        provider: ProviderConfig,
        url: str,
        data: View,
        *,
        fault: Fault | None = None,
        delay_ms: int = 0,
    ) -> asyncio.Future[bool] | None:
        """Queue a callback, spoiled by ``fault``; the future ends with the last delivery of it."""
        kind = fault.kind if fault is not None else ""
        if kind == "callback_drop":
            self.counts["dropped"] += 1
            return None
        true = Delivery(url, self._body(data), provider.callback_secret)
        if fault is None:
            return self._queue(true, delay_ms)
        if kind == "callback_forged_signature":
            false = Delivery(url, self._body(_inflated(data)), os.urandom(16).hex(), retries=False)
            self._queue(false, delay_ms)
            delay_ms += 100
        elif kind == "callback_stale":
            self._queue(Delivery(url, true.body, true.secret, STALE_S, False), delay_ms)
            delay_ms += 100
        elif kind == "callback_shuffle":
            delay_ms += random.randint(0, max(1, fault.delay_ms))
        elif kind == "duplicate_callback":
            for _ in range(fault.params.count - 1):
                self._queue(true, delay_ms)
        return self._queue(true, delay_ms)

    def _body(self, data: View) -> bytes:
        kind = f"{data.object}.updated"
        event_id = f"evt_{os.urandom(12).hex()}"
        return self._encode(Event(event_id, kind, time.time_ns() // 1_000_000, data))

    def _queue(self, delivery: Delivery, delay_ms: int) -> asyncio.Future[bool] | None:
        if len(self._tasks) >= MAX_WAITING:
            self.counts["dropped"] += 1
            return None
        task = asyncio.get_running_loop().create_task(self._deliver(delivery, delay_ms))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _deliver(self, delivery: Delivery, delay_ms: int) -> bool:
        if delay_ms:
            await asyncio.sleep(delay_ms / 1000)
        for pause_s in (*RETRY_AFTER_S, None):
            if await self._try(delivery):
                self.counts["delivered"] += 1
                return True
            if not delivery.retries:
                self.counts["refused"] += 1
                return False
            if pause_s is not None:
                self.counts["retried"] += 1
                await asyncio.sleep(pause_s * random.uniform(0.8, 1.2))
        self.counts["given_up"] += 1
        return False

    async def _try(self, delivery: Delivery) -> bool:
        if self._session is None:
            return False
        at_s = int(time.time()) - delivery.age_s
        headers = {
            "Content-Type": "application/json",
            "Sandbox-Signature": sign(delivery.secret, delivery.body, at_s),
        }
        async with self._gate:
            try:
                async with self._session.post(
                    delivery.url, data=delivery.body, headers=headers, allow_redirects=False
                ) as response:
                    return 200 <= response.status < 300
            except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
                return False


def _inflated(data: View) -> View:
    """What a forger would like to be true."""
    amount = data.amount * 10 if isinstance(data.amount, int) else 1
    if isinstance(data, ChargeView):
        return msgspec.structs.replace(
            data, status="captured", decline=None, amount=amount, amount_captured=amount
        )
    if isinstance(data, DisputeView):
        return msgspec.structs.replace(data, status="won", funds="reinstated", fee=amount)
    if isinstance(data, PayoutView):
        return msgspec.structs.replace(data, status="paid", amount=amount)
    return msgspec.structs.replace(data, status="succeeded", amount=amount)
