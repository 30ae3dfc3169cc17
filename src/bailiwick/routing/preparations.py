"""What a gateway needs before payments and what expires: obtained, renewed ahead, let go.

Held in memory. Nothing here is on a payment's path: a payment finds what is there, or another
gateway. What is due is asked for by a loop of its own (``Gateway.prepare``), over connections of
its own, so that a slow token endpoint holds up no payment and full connections no renewal.
"""

import asyncio
import contextlib
import random
from collections.abc import Callable
from typing import Any

import msgspec
import structlog

from bailiwick.base.clock import boot_ns, now_ms
from bailiwick.channels.contract import (
    Account,
    BadSecret,
    Channel,
    NotPrepared,
    Prepared,
    Prepares,
    Profile,
    Refused,
    Reply,
    Request,
)
from bailiwick.channels.transports import Transport

RENEW_AFTER = (0.6, 0.8)
"""The share of its life after which one is renewed, by chance between these: not all at once."""
PAUSE_MIN_S = 0.5
PAUSE_MAX_S = 10.0
"""Between tries that fail; each is twice as long as the one before."""
HURRY_MAX_S = 60.0
"""The same between renewals that providers ask for by refusing what is held."""
LASTS_MAX_MS = 7 * 86_400_000
LOOK_S = 30.0
"""The longest wait: timers stand still while a machine sleeps, and what is held does not."""

Clock = Callable[[], int]
_NS = 1_000_000_000
log = structlog.get_logger()


class Preparation:
    """One of them: what is held, until when, and when it is asked for again (nanoseconds of the
    clock since boot)."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.values: dict[str, str] | None = None
        self.ends_ns = 0
        self.due_ns = 0
        self.problem: Refused | None = Refused("it was not asked for yet", "wait")
        self.obtained = 0
        self.failed = 0
        self.asking = False
        self._asked_ns = 0
        self._obtained_ns = 0
        self._failures = 0
        self._hurries = 0
        self._hurried = False

    def asked(self, now_ns: int) -> None:
        """It is asked for now."""
        self.asking, self._asked_ns = True, now_ns
        if not self._hurried:
            self._hurries = 0
        self._hurried = False

    def got(self, told: Prepared, now_ns: int) -> None:
        """It lasts from when it was asked for: whoever gave it cannot have begun before."""
        lasts_ns = min(told.lasts_ms, LASTS_MAX_MS) * 1_000_000
        self.values, self.problem = told.values, None
        self.ends_ns, self._obtained_ns = self._asked_ns + lasts_ns, now_ns
        renew_ns = self._asked_ns + int(lasts_ns * random.uniform(*RENEW_AFTER))
        self.due_ns = max(renew_ns, now_ns + int(PAUSE_MIN_S * _NS))
        self.asking, self._failures = False, 0
        self.obtained += 1

    def refused(self, told: Refused, now_ns: int) -> None:
        """What is held stays, until it ends."""
        pause_s = min(PAUSE_MIN_S * 2**self._failures, PAUSE_MAX_S) * random.uniform(0.75, 1.25)
        self.problem, self.due_ns = told, now_ns + int(pause_s * _NS)
        self.asking, self._failures = False, min(self._failures + 1, 20)
        self.failed += 1

    def newer(self, begun_ns: int) -> bool:
        """Whether it was obtained after that."""
        return self._obtained_ns > begun_ns

    def hurry(self, begun_ns: int, now_ns: int) -> None:
        """The provider does not take it in what was begun then: it is renewed at once, but what a
        thousand payments are told is told once, and what is told again and again is heard less
        and less often."""
        if self.asking or self.values is None or self.newer(begun_ns):
            return
        pause_s = min(PAUSE_MIN_S * 2**self._hurries, HURRY_MAX_S) if self._hurries else 0.0
        at_ns = max(now_ns, self._asked_ns + int(pause_s * _NS))
        if at_ns < self.due_ns:
            self.due_ns = at_ns
        if not self._hurried:
            self._hurries, self._hurried = min(self._hurries + 1, 20), True


class Preparations:
    """Those of one gateway.

    Args:
        profile: with the gateway's settings in it.
        account: the gateway's, without them.
        transport: for requests about them alone; None where the gateway needs none.
        silent: the provider is asked nothing any more.
    """

    def __init__(
        self,
        channel: Channel,
        profile: Profile,
        account: Account,
        transport: Transport | None,
        silent: Callable[[], bool],
        clock: Clock = boot_ns,
    ) -> None:
        self._channel = channel
        self._profile = profile
        self._transport = transport
        self._silent = silent
        self._clock = clock
        self._bare = account
        self.all = [Preparation(name) for name in profile.needed(account.secrets)]
        self._wake = asyncio.Event()
        self._put()

    @property
    def account(self) -> Account:
        """The account, with what is good now."""
        if self.all and self._clock() >= self._until_ns:
            self._put()
        return self._account

    def lacking(self) -> str | None:
        """Why the gateway can take nothing, with the remedy; None where it has all it needs."""
        if self.all and self._clock() >= self._until_ns:
            self._put()
        return self._lacking

    def newer(self, begun_ns: int) -> bool:
        """Whether one was obtained after that: what was refused then was what was held before."""
        return any(each.newer(begun_ns) for each in self.all)

    def refused(self, begun_ns: int, name: str | None = None) -> None:
        """The provider did not take what was held when an exchange was begun; ``name``: of which
        preparation."""
        for each in self.all:
            if name in (None, each.name):
                each.hurry(begun_ns, self._clock())
                self._wake.set()

    async def renew(self) -> bool:
        """Ask for what is due, one after the other; whether any was obtained."""
        obtained = False
        for each in self.all:
            if each.due_ns <= self._clock():
                each.asked(self._clock())
                told = await self._asked(each.name)
                if isinstance(told, Prepared):
                    each.got(told, self._clock())
                    obtained = True
                else:
                    self._failed(each, told)
                self._put()
        return obtained

    async def wait(self) -> None:
        """Until something is due."""
        due_ns = min(each.due_ns for each in self.all)
        pause_s = min(max(0.0, (due_ns - self._clock()) / _NS), LOOK_S)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause_s):
                await self._wake.wait()
        self._wake.clear()

    async def close(self) -> None:
        """Close its connections."""
        if self._transport is not None:
            await self._transport.close()

    def shown(self) -> list[dict[str, Any]]:
        """For operators: how each stands."""
        now_ns = self._clock()
        return [
            {
                "name": each.name,
                "ready": each.values is not None and now_ns < each.ends_ns,
                "lasts_s": round(max(0, each.ends_ns - now_ns) / _NS, 1),
                "obtained": each.obtained,
                "failed": each.failed,
                "problem": None if each.problem is None else each.problem.reason,
                "remedy": None if each.problem is None else each.problem.remedy,
            }
            for each in self.all
        ]

    # --- one of them

    async def _asked(self, name: str) -> Prepared | Refused:
        channel, account = self._channel, self.account
        assert isinstance(channel, Prepares), "the registry looked"
        if self._silent():
            return Refused("another process serves this node", "ask there")
        try:
            request = channel.prepare(name, account, now_ms())
            reply = await self._answer(request, account)
            if isinstance(reply, Refused):
                return reply
            return _sound(channel.prepared(name, reply, account, now_ms()))
        except NotPrepared as first:
            return Refused(f"it needs {first.name} first", "see there")
        except BadSecret as bad:
            return Refused(str(bad), "correct it")
        except Exception as defect:  # pure code, and no payment's
            log.error("channel_defect", gateway=account.gateway, preparation=name, error=defect)
            return Refused("a defect of the channel", "the log names it (channel_defect)")

    async def _answer(self, request: Request, account: Account) -> Reply | Refused:
        if account.livemode and not request.url.startswith("https://"):
            return Refused("it would be asked for without encryption", "give https addresses")
        assert self._transport is not None, "there is one where anything is needed"
        done = await self._transport.exchange(request, self._profile, None)
        if done.reply is None:
            return Refused(f"no answer: {done.error}", "look at base_url and the network")
        return done.reply

    def _failed(self, each: Preparation, told: Refused) -> None:
        if told != each.problem:
            log.warning(
                "preparation_failed",
                gateway=self._bare.gateway,
                preparation=each.name,
                reason=told.reason,
                remedy=told.remedy,
            )
        each.refused(told, self._clock())

    def _put(self) -> None:
        """Have what is good now in the account, and know until when that holds."""
        now_ns = self._clock()
        good = [each for each in self.all if each.values is not None and now_ns < each.ends_ns]
        self._until_ns = min((each.ends_ns for each in good), default=now_ns + _NS)
        prepared = {each.name: each.values for each in good if each.values is not None}
        self._account = msgspec.structs.replace(self._bare, prepared=prepared)
        self._lacking = None
        for each in self.all:
            if each not in good:
                why = each.problem or Refused("it has ended, and is asked for again", "wait")
                self._lacking = f"{each.name} is lacking: {why.reason}; {why.remedy}"
                break


def _sound(told: Prepared | Refused) -> Prepared | Refused:
    """A channel's word, unless it cannot be."""
    if isinstance(told, Prepared) and (not told.values or told.lasts_ms <= 0):
        return Refused("the answer had nothing that could be used", "see the channel's page")
    return told
