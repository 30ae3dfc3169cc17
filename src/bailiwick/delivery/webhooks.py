"""Webhooks: a merchant's endpoints, and signatures.

What is owed is written with the event itself, so nothing can be forgotten; ``deliverer`` delivers
it. Signatures:
https://docs.stripe.com/webhooks (``Stripe-Signature``) and, beside it,
https://www.standardwebhooks.com.
"""

import asyncio
import base64
import hashlib
import hmac
from collections.abc import Collection, Sequence
from typing import Any

import msgspec

from bailiwick.base.api_versions import effective
from bailiwick.delivery.event_types import covers
from bailiwick.delivery.secrets import Old, valid
from bailiwick.store.database import Store

USER_AGENT = "bailiwick-webhooks"


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
    old_secrets: list[Old] = []

    def secrets(self, now_ms: int) -> list[str]:
        """The secrets that sign now, the newest first: several while one is being replaced."""
        earlier = valid(self.old_secrets, now_ms) if self.old_secrets else []
        return [self.secret, *(each.secret for each in earlier if each.secret is not None)]

    @property
    def api_version(self) -> str:
        """As of which version events are shown to it."""
        return effective(self.details.get("api_version"))

    def wants(self, event_type: str) -> bool:
        """Whether it subscribed; ``*`` means all but our own additions."""
        return self.status == "enabled" and covers(self.events, event_type)


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
            values[9] = msgspec.json.decode(values[9], type=list[Old])
            found.append(Endpoint(*values))
        self._by_id = {each.id: each for each in found}
        by_owner: dict[tuple[str, bool], list[Endpoint]] = {}
        for each in found:
            by_owner.setdefault((each.merchant, each.livemode), []).append(each)
        self._by_owner = by_owner


def signatures(secrets: Sequence[str], event_id: str, body: bytes, now_s: int) -> dict[str, str]:
    """The headers that prove an event to be ours, in both conventions: one signature for each
    secret, and any of them is proof."""
    stamp = str(now_s)
    signed, content = f"{stamp}.".encode() + body, f"{event_id}.{stamp}.".encode() + body
    stripe = [hmac.new(each.encode(), signed, hashlib.sha256).hexdigest() for each in secrets]
    return {
        "Stripe-Signature": ",".join([f"t={stamp}", *(f"v1={each}" for each in stripe)]),
        "webhook-id": event_id,
        "webhook-timestamp": stamp,
        "webhook-signature": " ".join(f"v1,{_standard(each, content)}" for each in secrets),
    }


def _standard(secret: str, content: bytes) -> str:
    key = base64.b64decode(secret.removeprefix("whsec_") + "==")
    return base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
