"""The channel docking layer of a node: its gateways, by name, matched by routing."""

import asyncio
import functools
from collections.abc import Callable, Collection, Coroutine, Mapping
from typing import Any

from bailiwick.channels.contract import Account, Profile, Reply, Request
from bailiwick.channels.transports.secured import USUAL, Secured
from bailiwick.routing.gateway import Gateway
from bailiwick.routing.match import (
    TOLD_MAX,
    Considered,
    GatewayFacts,
    Kind,
    Routing,
    Wanted,
    match,
)
from bailiwick.routing.retry_budget import RetryBudget
from bailiwick.routing.settings import GatewaySettings
from bailiwick.routing.strategies.router import Router
from bailiwick.runtime.loops import end, forever
from bailiwick.topology.routes.table import EMPTY, RoutingTable

Heard = Callable[[Gateway, Request, Reply], Coroutine[Any, Any, None]]


class Gateways:
    """The node's channel docking layer.

    ``silent``: providers are told nothing any more, because another process speaks for the node.
    ``secured``: the connections of gateways for which the settings say more than an address.
    ``table``: the routing rules in force.
    """

    def __init__(
        self,
        settings: list[GatewaySettings],
        accounts: dict[str, Account],
        callback_base: str,
        silent: Callable[[], bool] = lambda: False,
        secured: Mapping[str, Secured] | None = None,
        return_base: str = "",
        retry_share: float = 0.5,
        table: Callable[[], RoutingTable] = lambda: EMPTY,
    ) -> None:
        self._callback_base = callback_base
        self._return_base = return_base
        self._silent = silent
        self.router = Router(table)
        self.retries = RetryBudget(retry_share)
        self._running: dict[str, list[asyncio.Task[None]]] | None = None
        self.late: Heard | None = None
        """Takes answers that nobody waited for any more."""
        self._heard: set[asyncio.Task[None]] = set()
        self._all = {
            each.name: self.made(each, accounts[each.name], (secured or {}).get(each.name, USUAL))
            for each in settings
        }

    def made(self, settings: GatewaySettings, account: Account, secured: Secured) -> Gateway:
        """A gateway for this node that is none of its gateways yet; see ``put``."""
        return Gateway(
            settings,
            account,
            f"{self._callback_base}/{settings.name}",
            self._silent,
            functools.partial(self._late, settings.name),
            secured,
            self._return_base,
        )

    async def connect(self) -> None:
        """Connect all gateways at once and go on watching them."""
        await asyncio.gather(*(gateway.begin() for gateway in self._all.values()))
        self._running = {}
        for gateway in self._all.values():
            self._watch(gateway)

    def put(self, gateway: Gateway) -> None:
        """Have a gateway from now on, in place of the one of its name if there is one. That one's
        calls under way end as they would; it begins no others."""
        earlier = self._all.get(gateway.name)
        if earlier is not None:
            gateway.follow(earlier)
        self._all[gateway.name] = gateway
        gateway.noted()
        if self._running is not None:
            ended = self._running.pop(gateway.name, [])
            self._watch(gateway)
            self._in_passing(_retired(earlier, ended))
        elif earlier is not None:
            self._in_passing(earlier.close())

    def _watch(self, gateway: Gateway) -> None:
        assert self._running is not None, "they are connected"
        loops = [forever("gateway", gateway.watch), forever("health", gateway.look)]
        if gateway.preparations.all:
            loops.append(forever("preparations", gateway.prepare))
        self._running[gateway.name] = [asyncio.create_task(each) for each in loops]

    def _in_passing(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._heard.add(task)
        task.add_done_callback(self._heard.discard)

    async def close(self) -> None:
        """Stop watching and close all connections."""
        loops = [each for tasks in (self._running or {}).values() for each in tasks]
        for task in (*loops, *self._heard):
            task.cancel()
        await asyncio.gather(*loops, *self._heard, return_exceptions=True)
        await asyncio.gather(*(gateway.close() for gateway in self._all.values()))

    def _late(self, name: str, request: Request, reply: Reply) -> None:
        if self.late is not None:
            self._in_passing(self.late(self._all[name], request, reply))

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

    def match(
        self, wanted: Wanted, tried: Collection[str] = (), *, counted: bool = True
    ) -> Routing:
        """Match a gateway for a payment.

        ``tried``: gateways at which it was tried; none is matched any more where the node's retries
        are spent. ``counted``: it will be asked, and has had its turn.
        """
        plan = self.router.plan(wanted)
        told = TOLD_MAX if counted else len(self._all)
        found = match(self.facts(), wanted, tried, plan, told)
        if not counted or found.gateway is None:
            return found
        if not tried:
            self.retries.first()
        elif not self.retries.take():
            passed = tuple(_passed_over(each) for each in found.considered)
            return Routing(None, found.strategy, passed, found.owner, rule=found.rule)
        if plan is not None:
            self.router.chosen(plan, found, first=not tried)
        return found

    def facts(self) -> list[GatewayFacts]:
        """What routing knows about each gateway now."""
        return [gateway.facts() for gateway in self._all.values()]


def _passed_over(each: Considered) -> Considered:
    if each.kind is not Kind.ABLE:
        return each
    return Considered(each.gateway, "passed over", "the node's retries are spent", Kind.USAGE)


async def _retired(earlier: Gateway | None, loops: list[asyncio.Task[None]]) -> None:
    """End a gateway that another has replaced, once its calls have ended."""
    await end(*loops)
    if earlier is not None:
        await earlier.retire()
