"""Channel gateways: connected beforehand, watched in real traffic, matched by routing.

A gateway's usage state is the second condition of the method. It is "open" only after the
provider has accepted the account's credentials, and closes itself when the provider fails:
a breaker over the last outcomes, with a pause that doubles and a trickle of trial payments.
"""

import asyncio
import functools
from collections.abc import Awaitable, Callable, Collection, Mapping

import msgspec
import structlog

from bailiwick.admission import load
from bailiwick.base.clock import boot_ns, now_ms
from bailiwick.base.history import History
from bailiwick.base.sequence import Sequence
from bailiwick.channels.contract import (
    Account,
    BadSecret,
    Channel,
    Context,
    Exchange,
    Instruction,
    Operation,
    Outcome,
    Permit,
    Phase,
    Profile,
    Reply,
    Request,
)
from bailiwick.channels.registry import channel
from bailiwick.channels.transports import Late, Transport, open_transport
from bailiwick.channels.transports.secured import USUAL, Secured
from bailiwick.routing.breaker import Breaker
from bailiwick.routing.declared import constant_facts, profile_at
from bailiwick.routing.match import GatewayFacts, Routing, Wanted, match
from bailiwick.routing.preparations import Preparations
from bailiwick.routing.settings import GatewaySettings
from bailiwick.runtime import trace
from bailiwick.runtime.loops import forever

CHECK_EVERY_S = 10.0
CHECK_FIRST_S = 0.5
PREPARING_CONNECTIONS = 2
WARM_CONNECTIONS = 2
SILENT = "another process serves this node"

log = structlog.get_logger()


class Gateway:
    """A channel configured and connected at this node."""

    def __init__(
        self,
        settings: GatewaySettings,
        account: Account,
        callback_url: str,
        silent: Callable[[], bool] = lambda: False,
        late: Late = lambda request, reply: None,
        secured: Secured = USUAL,
        return_base: str = "",
    ) -> None:
        self._silent = silent
        self.name = settings.name
        self.vault = settings.vault_name
        self.settings = settings
        self.callback_url = callback_url
        self._return_base = return_base
        self.channel: Channel = channel(settings.channel)
        self.profile: Profile = profile_at(self.channel.profile, settings)
        ways = (each for found in self.profile.methods.values() for each in found)
        self._comes_back = any(each.return_step is not None for each in ways)
        self.inflight = 0
        self.calls = 0
        self._transport: Transport = open_transport(
            self.profile.transport,
            limit=settings.connections_max,
            secrets=tuple(account.secrets.values()),
            late=late,
            secured=secured,
        )
        self.preparations = _preparations(self.channel, self.profile, account, silent, secured)
        self._sequence = Sequence()
        self._breaker = Breaker(asyncio.get_running_loop().time)
        self._problem: str | None = "not connected yet"
        self._pause_s = CHECK_FIRST_S
        self._history = History("closed", now_ms())
        self._constant = constant_facts(settings, self.profile)

    @property
    def account(self) -> Account:
        """The account, with what is prepared and good at this moment."""
        return self.preparations.account

    @property
    def lacking(self) -> str | None:
        """Which preparation is lacking, and why: no request can be made without it."""
        return self.preparations.lacking()

    def back_to(self, instruction: Instruction, attempt: str) -> str | None:
        """Where the payer of a charge is to come back to: to the node, if the charge goes on by
        what the payer brings; else where the client says."""
        told = instruction.return_url
        if not self._comes_back or told is None or not self._return_base:
            return told
        if instruction.operation is not Operation.CHARGE:
            return told
        takes = self.profile.takes(instruction)
        here = takes is not None and takes.return_step is not None
        return f"{self._return_base}/{attempt}" if here else told

    @property
    def usage(self) -> str:
        """ "open", or why the gateway takes nothing now."""
        return self.lacking or self._problem or self._breaker.why_shut(self.inflight) or "open"

    @property
    def failures(self) -> float:
        """Share of failures among the last calls."""
        return self._breaker.failures

    def noted(self) -> History:
        """Note the usage state of this moment (open, closed, on trial); how it came to be so."""
        state = "closed" if self.lacking or self._problem else self._breaker.state
        if state != self._history.state:
            figures = {"failures": round(self.failures, 3), "calls": self.calls}
            why = "" if state == "open" else self.usage
            self._history.note(state, why, now_ms(), figures)
            log.info("gateway_usage", gateway=self.name, state=state, reason=why or state)
        return self._history

    def facts(self) -> GatewayFacts:
        """What routing needs to know at this moment."""
        usage = self.usage
        if usage == self._constant.usage:
            return self._constant
        return msgspec.structs.replace(self._constant, usage=usage)

    def context(self) -> Context | None:
        """What the requests of a new attempt need of this moment; None if they need nothing."""
        if not self.profile.contexts:
            return None
        now = now_ms()
        return Context(now, self._sequence.next(now))

    async def begin(self) -> None:
        """Prepare what payments need, then connect."""
        await self.preparations.renew()
        await self.connect()

    async def connect(self) -> None:
        """Check the credentials and warm the pool; the result is the usage state. Without what has
        to be prepared there is nothing to check."""
        if self._silent():
            self._problem = SILENT
        elif self.lacking is None:
            self._problem = await self._checked()
        self.noted()

    async def _checked(self) -> str | None:
        """What is wrong with the credentials, or the way there; None if nothing is."""
        begun_ns = boot_ns()
        try:
            request = self.channel.check(self.account, now_ms())
        except BadSecret as bad:
            return str(bad)
        exchange = await self._transport.connect(request, self.profile, WARM_CONNECTIONS)
        if exchange.phase is not Phase.ANSWERED or exchange.reply is None:
            return f"unreachable: {exchange.error}"
        problem = self.channel.parse_check(exchange.reply, self.account)
        if problem is not None and self.preparations.newer(begun_ns):
            return await self._checked()
        self._notice(exchange, begun_ns)
        return problem

    async def exchange(self, request: Request, permit: Permit | None = None) -> Exchange:
        """One request and its answer."""
        if self._silent():
            return Exchange(Phase.UNSENT, None, SILENT)
        begun_ns = boot_ns()
        self.inflight += 1
        self.calls += 1
        span = trace.onward()
        if span is not None:
            headers = {**request.headers, "traceparent": span}
            request = msgspec.structs.replace(request, headers=headers)
        spell = load.current()
        if spell is not None:
            spell.leave()
        try:
            done = await self._transport.exchange(request, self.profile, permit)
            self._notice(done, begun_ns)
            return done
        finally:
            self.inflight -= 1
            if spell is not None:
                spell.back()

    def _notice(self, exchange: Exchange, begun_ns: int) -> None:
        if exchange.reply is not None and exchange.reply.status == 401:
            self.preparations.refused(begun_ns)

    def saw(self, outcome: Outcome, detail: str | None, begun_ns: int) -> None:
        """Learn from an outcome in real traffic; ``begun_ns``: when the call began (``boot_ns``).
        What was refused before the credentials were renewed says nothing of them now."""
        if detail == "credentials" and not self.preparations.newer(begun_ns):
            self._problem = "the provider refuses the credentials"
            self.preparations.refused(begun_ns)
        self._breaker.saw(outcome is not Outcome.UNKNOWN and detail != "rate_limited")
        self.noted()

    async def watch(self) -> float:
        """Connect again: soon while the gateway is closed, seldom while it is open.

        Returns the seconds until the next look.
        """
        await self.connect()
        self._pause_s = min(self._pause_s * 2, CHECK_EVERY_S) if self._problem else CHECK_EVERY_S
        return self._pause_s

    async def prepare(self) -> float:
        """Renew what is due, open the gateway where that was what it lacked, and wait until
        something is due again; see ``forever``."""
        if await self.preparations.renew() and self._problem is not None:
            await self.connect()
        self.noted()
        await self.preparations.wait()
        return 0.0

    async def close(self) -> None:
        """Close its connections."""
        await self.preparations.close()
        await self._transport.close()


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
            if each.preparations.all
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


def _preparations(
    made: Channel,
    profile: Profile,
    account: Account,
    silent: Callable[[], bool],
    secured: Secured,
) -> Preparations:
    transport = None
    if profile.needed(account.secrets):
        hidden = tuple(account.secrets.values())
        transport = open_transport(
            "http", limit=PREPARING_CONNECTIONS, secrets=hidden, secured=secured
        )
    return Preparations(made, profile, account, transport, silent)
