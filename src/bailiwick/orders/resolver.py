"""End what is open: ask providers until every attempt has a definite outcome.

Nothing is guessed and nothing times out into a failure. Each channel declares how its unknowns
are resolved; "not found" counts only once no process can still be sending and the provider's
visibility window has passed. What stays open too long is put before a person, and still asked.
"""

import asyncio
from typing import Any

import msgspec
import structlog

from bailiwick.base.clock import boot_ns
from bailiwick.base.errors import ApiError
from bailiwick.channels.contract import (
    TURNED_AWAY,
    Instruction,
    Outcome,
    Phase,
    Resolve,
    Result,
    read,
    unknown,
)
from bailiwick.orders import attempt_store, steps
from bailiwick.orders.attempts import Attempt
from bailiwick.orders.executor import PERMIT_NS, permit
from bailiwick.orders.machine import Machine
from bailiwick.orders.query import query
from bailiwick.orders.transition import SUSPICIOUS, Transition
from bailiwick.routing.building import withheld
from bailiwick.routing.gateways import Gateway
from bailiwick.runtime.crash import crash_point
from bailiwick.runtime.database_errors import DATABASE_ERRORS

BATCH = 64
LEASE_MS = 5_000
"""Until another process of this node may ask as well, which is harmless: questions move nothing
and a replay is permitted once for each count of replays."""
FORGOTTEN_MS = 6_000
"""How long after its permit an attempt that nobody has ended is looked at: once it has run out."""
SWEEP_S = 2.0
REVIEW_AFTER_MS = 120_000
REVIEW_PENDING_AFTER_MS = 7 * 86_400_000
LOOK_MIN_MS = 500
LOOK_MAX_MS = 600_000
SETTLED_REASONS = ["unresolved", "gateway_missing"]

_NEVER_RECEIVED = Result(
    Outcome.DECLINED,
    code="processing_error",
    message="The provider never received the request; nothing was charged.",
    detail="not_found",
)

log = structlog.get_logger()


class Resolver:
    """Looks at open attempts when they are due."""

    def __init__(self, machine: Machine, every_s: float) -> None:
        self._machine = machine
        self._kinds = machine.kinds
        self._store = machine.store
        self._gateways = machine.gateways
        self._executor = machine.executor
        self._every_s = every_s
        self._running: dict[str, asyncio.Task[None]] = {}
        self._swept_s = 0.0
        self.resolved = 0

    async def step(self) -> float:
        """Look once; seconds until the next look."""
        claimed = await self._round()
        return 0.0 if claimed >= BATCH else self._every_s

    async def _round(self) -> int:
        room = 2 * BATCH - len(self._running)
        if room <= 0:
            return 0
        now_s = boot_ns() / 1e9
        if now_s - self._swept_s >= SWEEP_S:
            self._swept_s = now_s
            await attempt_store.sweep(self._store, FORGOTTEN_MS)
        rows = await attempt_store.due(self._store, min(BATCH, room), LEASE_MS)
        for attempt in rows:
            if attempt.id not in self._running:
                self._running[attempt.id] = asyncio.ensure_future(self._guarded(attempt))
        return len(rows)

    async def _guarded(self, attempt: Attempt) -> None:
        try:
            await self.resolve(attempt)
        except (*DATABASE_ERRORS, ApiError) as error:
            log.warning("resolve_failed", attempt=attempt.id, error=type(error).__name__)
        except Exception as error:  # a defect in one must not stop the others
            log.error("resolve_defect", attempt=attempt.id, error=error)
        finally:
            del self._running[attempt.id]

    async def resolve(self, attempt: Attempt) -> None:
        """Ask about one attempt, and settle it if the answer is definite."""
        gateway = self._gateways.get(attempt.gateway)
        if gateway is None:
            await self._review(attempt, "gateway_missing")
            await self._later(attempt)
            return
        result = await self._ask(attempt, gateway)
        crash_point("resolve.asked")
        if result is None or result.outcome is Outcome.UNKNOWN:
            if not await self._reversed(attempt, gateway, result):
                await self._still_open(attempt, result)
            return
        settled = await self._executor.record_outcome(attempt, result)
        crash_point("resolve.settled")
        if settled.step is not None and settled.step.attempt_step is not None:
            assert settled.next is not None, "a step that is committed is sent"
            await self._executor.drive(settled.next)
            return
        if result.outcome is Outcome.PENDING:
            await self._still_open(attempt, result)
            if settled.next is not None:
                await self._executor.drive(settled.next)
            return
        if settled.step is None:
            await self._later(attempt)  # closed by others meanwhile, or it has to wait for a void
            return
        self.resolved += 1
        await self._store.rows("review_close_settled", attempt.id, SETTLED_REASONS)
        if settled.next is not None:
            await self._executor.drive(settled.next)

    async def _ask(self, attempt: Attempt, gateway: Gateway) -> Result | None:
        """Try the channel's declared ways in order; None when none of them told anything."""
        instruction, undone = steps.current(attempt), False
        if instruction.withheld is not None:
            return withheld(instruction.withheld)  # nobody has sent it, nor will
        told: Result | None = None
        for way in gateway.profile.ways(instruction):
            if way is Resolve.REPLAY:
                result = await self._replay(attempt, gateway, undone=undone)
            elif way in (Resolve.REFERENCE, Resolve.PROVIDER_ID):
                result = await query(attempt, gateway, way)
            else:
                continue  # a callback or a statement comes by itself
            if result is not None and result.not_found:
                looked_up = way is not Resolve.REPLAY
                result = (self._absent if looked_up else self._gone)(attempt, gateway)
            if result is not None and steps.asked_before(instruction, result):
                undone, result = True, self._undone(attempt, gateway, instruction)
            if result is not None and result.outcome is not Outcome.UNKNOWN:
                return result
            told = result or told
        return told

    async def _reversed(self, attempt: Attempt, gateway: Gateway, result: Result | None) -> bool:
        """Have a charge given up by a reversal, once nobody can still be sending it."""
        ways = gateway.profile.ways(steps.current(attempt))
        if Resolve.REVERSAL not in ways or not self._quiet(attempt.id, attempt.quiet_ms, gateway):
            return False
        settled = await self._executor.record_outcome(attempt, result or unknown("no_answer"))
        if settled.next is None:
            return False
        await self._executor.drive(settled.next)
        return True

    def _quiet(self, attempt: str, quiet_ms: int, gateway: Gateway) -> bool:
        """Whether whoever had the latest permit has sent by now, and waits no more."""
        sure_ms = PERMIT_NS // 1_000_000 + gateway.profile.total_ms
        return attempt not in self._executor.inflight and quiet_ms >= sure_ms

    async def _replay(self, attempt: Attempt, gateway: Gateway, *, undone: bool) -> Result | None:
        """Send the same request under the same reference again, while the provider knows it.
        ``undone``: the provider has just said that it is still to be done."""
        if attempt.state == "pending" and not undone:
            return None  # the provider has answered
        if attempt.id in self._executor.inflight:
            return None  # our own call still waits for it
        instruction, request = await self._executor.built(attempt, gateway, repeat=True)
        if isinstance(request, Result):
            # It may have been built, and sent, by an earlier version or under other settings.
            return unknown(request.detail or "not_built")
        begun = boot_ns()
        granted = await self._store.row(
            "attempt_replay",
            attempt.id,
            attempt.replays,
            float(gateway.profile.replay_ms),
            self._store.epoch(),
        )
        if granted is None:
            return None
        crash_point("replay.permitted")
        exchange = await gateway.exchange(request, permit(begun))
        if exchange.phase is not Phase.ANSWERED:
            return None
        result = read(gateway.channel, instruction, exchange, gateway.account)
        if result.outcome is Outcome.DECLINED and result.detail in TURNED_AWAY:
            # The repeat was not looked at; what was sent before may have been carried out.
            return unknown(str(result.detail))
        return steps.about_same(attempt, result)

    def _absent(self, attempt: Attempt, gateway: Gateway) -> Result | None:
        """What "not found" means: nothing, until nobody can still be sending it."""
        visible_ms = gateway.profile.visibility_ms
        quiet = self._quiet(attempt.id, attempt.quiet_ms - visible_ms, gateway)
        if not quiet or attempt.provider_ref is not None:
            return None
        return _NEVER_RECEIVED

    def _undone(
        self, attempt: Attempt, gateway: Gateway, instruction: Instruction
    ) -> Result | None:
        """What it means that a step is still to be done: nothing, until nobody can still be sending
        it, and while it can be repeated."""
        repeats = Resolve.REPLAY in gateway.profile.ways(instruction)
        visible_ms = gateway.profile.visibility_ms
        quiet = self._quiet(attempt.id, attempt.quiet_ms - visible_ms, gateway)
        if not quiet or (repeats and attempt.age_ms < gateway.profile.replay_ms):
            return None
        return _NEVER_RECEIVED

    def _gone(self, attempt: Attempt, gateway: Gateway) -> Result | None:
        """What it means that a reversal finds no charge: the same of the charge. Whose permit had
        ended when the reversal got its first one; what was sent by it may still arrive."""
        visible_ms = gateway.profile.visibility_ms
        if not self._quiet(attempt.id, attempt.age_ms - visible_ms, gateway):
            return None
        gone = Result(Outcome.APPROVED, None, attempt.amount, attempt.currency, captured=False)
        return msgspec.structs.replace(gone, detail="not_found")

    async def _still_open(self, attempt: Attempt, result: Result | None) -> None:
        limit = REVIEW_PENDING_AFTER_MS if attempt.state == "pending" else REVIEW_AFTER_MS
        if result is not None and result.detail in SUSPICIOUS:
            await self._review(attempt, str(result.detail))
        if attempt.age_ms > limit:
            detail = None if result is None else result.detail
            await self._review(attempt, "unresolved", detail)
        if not await self._given_up(attempt):
            await self._later(attempt)

    async def _given_up(self, attempt: Attempt) -> bool:
        """Give it up where its time has run out; whether that was begun."""
        gives_up = self._kinds.handler(attempt).gives_up
        if gives_up is None or attempt.id in self._executor.inflight:
            return False

        async def decide(order: Any) -> Transition[Any] | None:
            return await gives_up(self._machine, order, attempt)

        kind = self._kinds.of(attempt.subject)
        return await self._machine.command.by_itself(kind, attempt.subject, decide)

    async def _later(self, attempt: Attempt) -> None:
        """Look again, less and less often."""
        pause = min(LOOK_MIN_MS * 2 ** min(attempt.checks, 20), LOOK_MAX_MS)
        if attempt.age_ms < REVIEW_AFTER_MS:
            pause = min(pause, 4_000)
        await self._store.rows("attempt_postpone", attempt.id, float(pause))

    async def _review(self, attempt: Attempt, reason: str, detail: str | None = None) -> None:
        await self._store.rows("review_open", attempt.subject, attempt.id, reason, detail)
