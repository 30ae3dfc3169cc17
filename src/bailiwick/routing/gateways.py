"""The channel docking layer of a node: its gateways, by name, matched by routing."""

import asyncio
import functools
from collections.abc import Awaitable, Callable, Collection, Mapping

from bailiwick.channels.contract import Account, Profile, Reply, Request
from bailiwick.channels.transports.secured import USUAL, Secured
from bailiwick.routing.gateway import Gateway
from bailiwick.routing.match import GatewayFacts, Routing, Wanted, match
from bailiwick.routing.settings import GatewaySettings
from bailiwick.runtime.loops import forever

Heard = Callable[[Gateway, Request, Reply], Awaitable[None]]


class Gateways:
    """The node's channel docking layer.

    ``silent``: providers are told nothing any more, because another process speaks for the node.
    ``secured``: the connections of gateways for which the settings say more than an address.
    """

    def __init__(
        self,
        settings: list[GatewaySettings],
        accounts: dict[str, Account],
        callback_base: str,
        silent: Callable[[], bool] = lambda: False,
        secured: Mapping[str, Secured] | None = None,
        return_base: str = "",
    ) -> None:
        self._all = {
            each.name: Gateway(
                each,
                accounts[each.name],
                f"{callback_base}/{each.name}",
                silent,
                functools.partial(self._late, each.name),
                (secured or {}).get(each.name, USUAL),
                return_base,
            )
            for each in settings
        }
        self._tasks: list[asyncio.Task[None]] = []
        self.late: Heard | None = None
        """Takes answers that nobody waited for any more."""
        self._heard: set[asyncio.Task[None]] = set()

    async def connect(self) -> None:
        """Connect all gateways at once and go on watching them."""
        await asyncio.gather(*(gateway.begin() for gateway in self._all.values()))
        loops = [forever("gateway", each.watch) for each in self._all.values()]
        loops += [
            forever("preparations", each.prepare)
            for each in self._all.values()
            if each.profile.preparations
        ]
        self._tasks = [asyncio.create_task(each) for each in loops]

    async def close(self) -> None:
        """Stop watching and close all connections."""
        for task in (*self._tasks, *self._heard):
            task.cancel()
        await asyncio.gather(*self._tasks, *self._heard, return_exceptions=True)
        await asyncio.gather(*(gateway.close() for gateway in self._all.values()))

    def _late(self, name: str, request: Request, reply: Reply) -> None:
        if self.late is not None:
            task = asyncio.ensure_future(self.late(self._all[name], request, reply))
            self._heard.add(task)
            task.add_done_callback(self._heard.discard)

    def get(self, name: str) -> Gateway | None:
        """A gateway by name."""
        return self._all.get(name)

    def all(self) -> list[Gateway]:
        """All gateways, in the order of the settings."""
        return list(self._all.values())

    def has_vault(self, vault: str, livemode: bool) -> bool:
        """Whether a gateway for this mode has this vault."""
        return any(
            each.vault == vault and each.account.livemode == livemode for each in self._all.values()
        )

    def profile_of(self, name: str) -> Profile | None:
        """What the channel of a gateway declares; None for a gateway that is not configured."""
        found = self.get(name)
        return None if found is None else found.profile

    def vault_of(self, name: str) -> str:
        """The vault of a gateway; that of one which is configured no more is nobody else's."""
        found = self._all.get(name)
        return name if found is None else found.vault

    def match(self, wanted: Wanted, tried: Collection[str] = ()) -> Routing:
        """Match a gateway for a payment."""
        return match(self.facts(), wanted, tried)

    def facts(self) -> list[GatewayFacts]:
        """What routing knows about each gateway now."""
        return [gateway.facts() for gateway in self._all.values()]
