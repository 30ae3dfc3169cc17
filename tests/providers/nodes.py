"""A node on a store with one gateway, of any channel, to a provider of the tests."""

import contextlib
from collections.abc import AsyncIterator

from bailiwick.channels.contract import Account
from bailiwick.routing.gateways import Gateways
from bailiwick.routing.settings import GatewaySettings
from tests.postgres.node_kit import Region
from tests.store_kit import NodeStore
from tests.waiting import PATIENCE_S

GATEWAY = "gateway"


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
    gateways = Gateways([settings], {GATEWAY: account}, "http://node/v1/callbacks")
    region = Region(store, gateways=gateways)
    gateways.late = region.callbacks.late
    await gateways.connect()
    try:
        yield region
    finally:
        await gateways.close()
