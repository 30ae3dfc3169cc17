"""Webhooks: a merchant's endpoints, signatures, and how often a delivery is tried.

What is owed is written with the event itself, so nothing can be forgotten; ``deliverer`` delivers
it. Signatures:
https://docs.stripe.com/webhooks (``Stripe-Signature``) and, beside it,
https://www.standardwebhooks.com.
"""

import asyncio
import base64
import hashlib
import hmac
from collections.abc import Collection
from typing import Any

import msgspec

from bailiwick.store.database import Store

TRIES_MAX = 40
BACKOFF_MAX_MS = 4 * 3_600_000
"""With doubling from one second, forty tries reach over more than three days."""


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
    """All endpoints of this node, in memory; the table is the truth.

    Attributes:
        changing: held while endpoints are counted and made, or read and changed.
    """

    def __init__(self) -> None:
        self.changing = asyncio.Lock()
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

    @property
    def ids(self) -> Collection[str]:
        """The ids of all."""
        return self._by_id.keys()

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
