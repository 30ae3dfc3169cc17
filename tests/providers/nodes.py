"""A node on a store with one gateway, of any channel, to a provider of the tests."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from bailiwick.base.clock import now_ms
from bailiwick.channels.contract import Account
from bailiwick.resources.payments.methods import giving_up
from bailiwick.routing import gateways
from bailiwick.routing.gateways import Gateways
from bailiwick.routing.settings import GatewaySettings
from tests.postgres.node_kit import Region
from tests.store_kit import NodeStore
from tests.waiting import PATIENCE_S

GATEWAY = "gateway"
LOOKS_MAX = 20


@contextlib.asynccontextmanager
async def node(
    store: NodeStore, channel: str, account: Account, methods: tuple[str, ...], **values: object
) -> AsyncIterator[Region]:
    """Connected to the provider; everything of it but the store is ended at the end."""
    given = {"total_ms": int(1000 * PATIENCE_S / 4), "visibility_ms": 0, **values}
    settings = GatewaySettings(
        name=GATEWAY, channel=channel, kind="foreign_platform", base_url=account.base_url,
        methods=methods, **given,  # type: ignore[arg-type]
    )  # fmt: skip
    all_of_it = Gateways([settings], {GATEWAY: account}, "http://node/v1/callbacks")
    region = Region(store, gateways=all_of_it)
    all_of_it.late = region.callbacks.late
    await all_of_it.connect()
    try:
        yield region
    finally:
        await all_of_it.close()


LONG_MS = 3_600_000
"""Nobody can still be sending what is so old."""


async def ended(region: Region, identifier: str) -> dict[str, Any]:
    """The payment once nothing of it is open; the resolver looks as if much time had passed."""
    for _ in range(LOOKS_MAX):
        payment = await region.store.payment(identifier)
        assert payment is not None
        if payment.open_attempt is None:
            return {"state": payment.state, "received": payment.amount_received}
        await region.resolve(payment.open_attempt, age_ms=LONG_MS)
    raise AssertionError(f"still open: {payment}")


async def refund_ended(region: Region, identifier: str) -> str:
    """The state of a refund once it is definite, likewise."""
    for _ in range(LOOKS_MAX):
        refund = await region.store.refund(identifier)
        assert refund is not None
        if refund.state != "pending":
            return refund.state
        await region.resolve(refund.attempt, age_ms=LONG_MS)
    raise AssertionError(f"still open: {refund}")


class Later:
    """A clock that a test moves on: the node's where it decides about payers' times, and the
    provider's."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ahead_ms = 0
        for module in (giving_up, gateways):
            monkeypatch.setattr(module, "now_ms", self.now_ms)

    def now_ms(self) -> int:
        return now_ms() + self.ahead_ms
