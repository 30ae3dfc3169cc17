"""A channel gateway: connected beforehand, watched in real traffic.

A gateway's usage state is the second condition of the method. It is "open" only after the
provider has accepted the account's credentials, and closes itself when the provider fails:
a breaker over the last outcomes, with a pause that doubles and a trickle of trial payments.
"""

import asyncio
from collections.abc import Callable, Mapping

import msgspec
import structlog

from bailiwick.admission import load
from bailiwick.base.clock import boot_ns, now_ms
from bailiwick.base.history import History
from bailiwick.base.sequence import Sequence
from bailiwick.channels.blocks.parsing import header
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
    Request,
    Result,
)
from bailiwick.channels.registry import channel
from bailiwick.channels.transports import Late, Transport, open_transport
from bailiwick.channels.transports.secured import USUAL, Secured
from bailiwick.routing.breaker import Breaker
from bailiwick.routing.declared import constant_facts, profile_at
from bailiwick.routing.health.grey import Health
from bailiwick.routing.health.verdicts import seen
from bailiwick.routing.match import GatewayFacts
from bailiwick.routing.preparations import Preparations
from bailiwick.routing.rest import Rest
from bailiwick.routing.settings import GatewaySettings, State
from bailiwick.runtime import trace

HELD: Mapping[State, str | None] = {
    "enabled": None,
    "draining": "its operator drains it: it takes no new charges",
    "disabled": "its operator has disabled it",
}
"""Why a gateway takes nothing new, by its state."""
FULL = "it has as many calls under way as it may"
CHECK_EVERY_S = 10.0
CHECK_FIRST_S = 0.5
HEALTH_S = 1.0
RETIRE_S = 6.0
"""A little longer than a permit to send lasts."""
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
        self.state: State = "enabled"
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
        self._left: asyncio.Event | None = None
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
        clock = asyncio.get_running_loop().time
        self._breaker = Breaker(clock)
        self.health = Health(clock)
        self._rest = Rest(boot_ns, now_ms)
        self._calls_max = _calls_max(settings)
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
        """ "open", or why the gateway takes nothing new now."""
        if self.state != "enabled":
            return HELD[self.state] or self.able
        return self.able

    @property
    def able(self) -> str:
        """ "open", or what is wrong: whatever its operator says of new charges."""
        rest, breaker, inflight = self._rest, self._breaker, self.inflight
        return (
            self.preparations.lacking()
            or self._problem
            or (rest.why() if rest.until_ns else None)
            or (None if breaker.open else breaker.why_shut(inflight))
            or (FULL if inflight >= self._calls_max else "open")
        )

    @property
    def trouble(self) -> str | None:
        """What is wrong with what it needs, its credentials, or the way there; None if nothing."""
        return self.lacking or self._problem

    @property
    def failures(self) -> float:
        """Share of failures among the last calls."""
        return self._breaker.failures

    def noted(self) -> History:
        """Note the usage state of this moment (open, closed, on trial); how it came to be so."""
        shut = HELD[self.state] or self.trouble or self._rest.why()
        state = "closed" if shut else self._breaker.state
        if state != self._history.state:
            figures = {"failures": round(self.failures, 3), "calls": self.calls}
            why = "" if state == "open" else self.usage
            self._history.note(state, why, now_ms(), figures)
            log.info("gateway_usage", gateway=self.name, state=state, reason=why or state)
        return self._history

    def facts(self) -> GatewayFacts:
        """What routing needs to know at this moment."""
        usage, health = self.usage, self.health
        if usage == "open" and not health.troubled:
            return self._constant
        demoted = health.demoted()
        return msgspec.structs.replace(self._constant, usage=usage, demoted=demoted)

    def adopt(self, settings: GatewaySettings, state: State) -> None:
        """Have other settings that are no matter of its connections, and its operator's word."""
        self.settings, self.state = settings, state
        self.profile = profile_at(self.channel.profile, settings)
        self._constant = constant_facts(settings, self.profile)
        self._calls_max = _calls_max(settings)
        self.noted()

    def follow(self, earlier: "Gateway") -> None:
        """Go on where another of this name was: its numbers are not given twice."""
        self._sequence, self._history = earlier._sequence, earlier._history
        self.calls, self.health, self._breaker = earlier.calls, earlier.health, earlier._breaker

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
            if self._left is not None:
                self._left.set()
            if spell is not None:
                spell.back()

    def _notice(self, exchange: Exchange, begun_ns: int) -> None:
        if exchange.reply is None:
            return
        if exchange.reply.status == 401:
            self.preparations.refused(begun_ns)
        elif exchange.reply.status == 429:
            told = header(exchange.reply.headers, "retry-after")
            if told is not None:
                self._rest.told(begun_ns, told)

    def began(self, segment: str) -> int:
        """An attempt of a segment is begun; the number is for ``ended``."""
        return self.health.began(segment)

    def ended(self, call: int) -> None:
        """Its call is over, whatever came of it."""
        self.health.ended(call)

    def saw(self, result: Result, begun_ns: int, segment: str = "") -> None:
        """Learn from an outcome in real traffic; ``begun_ns``: when the call began (``boot_ns``).
        What was refused before the credentials were renewed says nothing of them now."""
        detail = result.detail
        if detail == "credentials" and not self.preparations.newer(begun_ns):
            self._problem = "the provider refuses the credentials"
            self.preparations.refused(begun_ns)
        if detail == "rate_limited":
            self._rest.told(begun_ns, None)
        else:
            self._rest.well(begun_ns)
            ms = (boot_ns() - begun_ns) // 1_000_000
            if self.health.saw(seen(result), ms, segment):
                self._breaker.saw(result.outcome is not Outcome.UNKNOWN)
        self.noted()

    async def watch(self) -> float:
        """Connect again: soon while the gateway is closed, seldom while it is open.

        Returns the seconds until the next look.
        """
        await self.connect()
        self._pause_s = min(self._pause_s * 2, CHECK_EVERY_S) if self._problem else CHECK_EVERY_S
        return self._pause_s

    async def look(self) -> float:
        """Judge by what hangs; see ``forever``."""
        self.health.look()
        return HEALTH_S

    async def prepare(self) -> float:
        """Renew what is due, open the gateway where that was what it lacked, and wait until
        something is due again; see ``forever``."""
        if await self.preparations.renew() and self._problem is not None:
            await self.connect()
        self.noted()
        await self.preparations.wait()
        return 0.0

    async def retire(self) -> None:
        """Close it once nobody calls over it: what has a permit by now may still begin."""
        try:
            await asyncio.sleep(RETIRE_S)
            self._left = asyncio.Event()
            while self.inflight:
                self._left.clear()
                await self._left.wait()
        finally:
            await self.close()

    async def close(self) -> None:
        """Close its connections."""
        await self.preparations.close()
        await self._transport.close()


def _calls_max(settings: GatewaySettings) -> int:
    """Calls under way above which nothing new comes: some may wait for a connection."""
    return settings.calls_max or 2 * settings.connections_max


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
