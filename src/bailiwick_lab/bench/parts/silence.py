"""As many silent webhook endpoints as a merchant may have: they take connections, and no more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

from bailiwick.resources.webhook_endpoints.routes import ENDPOINTS_MAX
from bailiwick_lab.bench import site as sites
from bailiwick_lab.bench.database import Node
from bailiwick_lab.bench.site import SiteError

PATIENCE_S: Final = 300.0
"""How long nodes may take to drop what was owed to endpoints that are no more."""
_LOOK_S = 0.1
_LISTEN = "127.0.0.1"


class Silence:
    """The endpoints.

    Attributes:
        ids: of the endpoints.
        tries: connections taken, one for each try of a delivery.
    """

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.tries = 0
        self._over = False
        self._held: set[asyncio.Transport] = set()

    def take(self, transport: asyncio.Transport) -> None:
        """A connection was made."""
        self.tries += 1
        if self._over:
            transport.abort()
        else:
            self._held.add(transport)

    def let_go(self, transport: asyncio.Transport) -> None:
        """A connection was closed."""
        self._held.discard(transport)

    def hang_up(self) -> None:
        """Hold nobody any longer, so that the nodes need not wait until their patience ends."""
        self._over = True
        for each in list(self._held):
            each.abort()


class _Silent(asyncio.Protocol):
    def __init__(self, silence: Silence) -> None:
        self._silence = silence
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]
        assert self._transport is not None
        self._silence.take(self._transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._transport is not None:
            self._silence.let_go(self._transport)


@asynccontextmanager
async def silent_endpoints(url: str, key: str, nodes: list[Node]) -> AsyncIterator[Silence]:
    """Make them, and remove them; return when no node owes them anything any more.

    Args:
        url, key: of the API and of the merchant.
        nodes: all nodes' databases.

    Raises SiteError.
    """
    silence = Silence()
    async with AsyncExitStack() as undo:
        server = await asyncio.get_running_loop().create_server(
            lambda: _Silent(silence), _LISTEN, 0
        )
        undo.callback(server.close)
        undo.callback(silence.hang_up)
        port = server.sockets[0].getsockname()[1]
        for number in range(ENDPOINTS_MAX):
            fields = {"url": f"http://{_LISTEN}:{port}/{number}", "enabled_events[0]": "*"}
            made = sites.ask("POST", f"{url}/v1/webhook_endpoints", key, fields)
            silence.ids.append(made["id"])
            undo.callback(sites.ask, "DELETE", f"{url}/v1/webhook_endpoints/{made['id']}", key)
        yield silence
    await _forgotten(silence.ids, nodes)


async def _forgotten(endpoints: list[str], nodes: list[Node]) -> None:
    until = asyncio.get_running_loop().time() + PATIENCE_S
    while left := sum([await node.owed(endpoints) for node in nodes]):
        if asyncio.get_running_loop().time() > until:
            raise SiteError(
                f"{left} deliveries are still owed to endpoints that were deleted: see the nodes' "
                "logs"
            )
        await asyncio.sleep(_LOOK_S)
