"""Call, then write: carry out an attempt that was committed, and commit how it ended.

``drive`` is the second half of every payment's path; the resolver and callbacks enter at
``record_outcome``. No database transaction is open during a call.
"""

import asyncio
import functools
import random
from typing import TYPE_CHECKING, Any

import msgspec
import structlog

from bailiwick.base.clock import boot_ns, now_ms
from bailiwick.base.errors import ApiError
from bailiwick.base.keys import key_identity
from bailiwick.channels.contract import (
    INVALID_REQUEST,
    Instruction,
    NotBuilt,
    Outcome,
    Permit,
    Phase,
    Request,
    Result,
    read,
)
from bailiwick.idempotency import keys
from bailiwick.idempotency.requests import unpacked
from bailiwick.orders import attempt_store, steps
from bailiwick.orders.attempts import Attempt, KnownObject
from bailiwick.orders.kinds import Kind
from bailiwick.orders.row_builder import stored_attempt
from bailiwick.orders.rows import OrderMove
from bailiwick.orders.transition import SUSPICIOUS, Transition
from bailiwick.routing.building import build, defective
from bailiwick.routing.gateways import Gateway
from bailiwick.runtime import trace
from bailiwick.runtime.crash import crash_point
from bailiwick.runtime.turns import Turns
from bailiwick.store.lanes import BadRow, LaneFull, WriteInDoubt

if TYPE_CHECKING:
    from bailiwick.orders.machine import Machine

PERMIT_NS = 5_000_000_000
"""How long after its batch was begun an attempt's first byte may be sent. A fence waits so long."""
ROUNDS_MAX = 24
OPEN_LOOK_MS = 1_000

log = structlog.get_logger()
_instruction = msgspec.json.Decoder(Instruction)


class Permitted(msgspec.Struct, frozen=True):
    """An attempt whose commit is done, and its permit to send."""

    order: Any
    attempt: Attempt
    permit: Permit


class RecordedOutcome(msgspec.Struct, frozen=True):
    """How an attempt's outcome was written.

    Attributes:
        step: the change written; None when there was nothing to do.
        next: the next attempt, committed and to be driven.
        status, body: the answer to the request that asked for the attempt.
    """

    order: Any
    step: Transition[Any] | None = None
    next: Permitted | None = None
    status: int = 200
    body: msgspec.Raw | None = None


class AttemptExecutor:
    """Carries out attempts and commits their outcomes.

    Attributes:
        locks: one holder per order in this process: it spares the database vain writes. What
            keeps money exact is the guard in SQL.
    """

    def __init__(self, machine: "Machine") -> None:
        self._machine = machine
        self._store = machine.store
        self._gateways = machine.gateways
        self._kinds = machine.kinds
        self._rows = machine.rows
        self.locks = Turns()
        self.inflight: dict[str, asyncio.Task[Any] | None] = {}
        """Attempts whose call this process has open, with the task that waits for the answer."""

    async def drive(self, permitted: Permitted, expand: list[str] | None = None) -> RecordedOutcome:
        """Send an attempt and settle it, and those that follow it, to the first outcome.

        Raises:
            ApiError: 503, the outcome could not be written; the resolver will end it.
        """
        now: Permitted | None = permitted
        while now is not None:
            self.inflight[now.attempt.id] = asyncio.current_task()
            try:
                result = await self._call(now)
            except asyncio.CancelledError:
                # A callback or the resolver has written the outcome while we waited for it.
                _uncancel()
                return RecordedOutcome(now.order)
            finally:
                # Unless the next step of it is on its way by now.
                if self.inflight.get(now.attempt.id) is asyncio.current_task():
                    del self.inflight[now.attempt.id]
            settled = await self.record_outcome(now.attempt, result, now.order, expand)
            now = settled.next
        return settled

    async def _call(self, permitted: Permitted) -> Result:
        """One exchange with the provider, read as an outcome."""
        attempt = permitted.attempt
        gateway = self._gateways.get(attempt.gateway)
        if gateway is None:
            return _unsent("the gateway is no longer configured")
        instruction, request = await self.built(attempt, gateway)
        if isinstance(request, Result):
            return request
        crash_point("call.before")
        begun_ns = boot_ns()
        exchange = await gateway.exchange(request, permitted.permit)
        crash_point("call.answered")
        trace.mark("answered")
        if exchange.phase is Phase.UNSENT:
            if exchange.error == INVALID_REQUEST:
                log.error("channel_defect", gateway=gateway.name, attempt=attempt.id)
                return defective(gateway.profile)
            gateway.saw(Outcome.UNKNOWN, "unsent", begun_ns)
            return _unsent(exchange.error)
        result = read(gateway.channel, instruction, exchange, gateway.account)
        gateway.saw(result.outcome, result.detail, begun_ns)
        return result

    async def built(
        self, attempt: Attempt, gateway: Gateway, *, repeat: bool = False
    ) -> tuple[Instruction, Request | Result]:
        """What a provider is to be asked by an attempt, and its request or what came without one;
        ``repeat``: once more, which is told to channels whose requests have a context."""
        instruction = _instruction.decode(attempt.instruction)
        if repeat and gateway.profile.contexts:
            instruction = msgspec.structs.replace(instruction, repeat=True)
        completes = self._kinds.handler(attempt).completes
        if completes is not None:
            completed = await completes(self._store, instruction)
            if isinstance(completed, NotBuilt):
                return instruction, completed
            instruction = completed
        return instruction, build(gateway, instruction)

    async def record_outcome(
        self,
        attempt: Attempt,
        result: Result,
        order: Any = None,
        expand: list[str] | None = None,
    ) -> RecordedOutcome:
        """Commit an outcome. ``order`` as last seen saves a read; it is guarded anyway.

        Raises:
            ApiError: 503, it could not be written now; nothing is lost, the attempt stays open.
        """
        kind = self._kinds.of(attempt.subject)
        async with self.locks.hold(attempt.subject):
            for round_ in range(ROUNDS_MAX):
                if order is None:
                    order, again = await self._fresh(attempt)
                    if steps.moved_on(attempt, again):
                        # What was said of an earlier step: how it is by now, the provider is asked.
                        await self._store.rows("attempt_postpone", attempt.id, 0.0)
                        return RecordedOutcome(order)
                    attempt = again
                told = steps.about_same(attempt, result)
                step = await self._decide(order, attempt, told)
                if step is None:
                    await self._note_contradiction(order, attempt, result)
                    return RecordedOutcome(order)
                row, settled = await self._row(kind, step, attempt, expand)
                crash_point("settle.before")
                try:
                    written = await self._store.write(kind.table.move_lane, row)
                except (WriteInDoubt, LaneFull):
                    await asyncio.sleep(0.05 * 2 ** min(round_, 5))
                    order = None
                    continue
                except BadRow as refused:
                    # Our defect, and money may have moved: a person must see it.
                    detail = str(refused)[:200]
                    await self._store.rows(
                        "review_open", attempt.subject, attempt.id, "unwritable", detail
                    )
                    raise ApiError.defect() from None
                if written.done:
                    crash_point("settle.committed")
                    trace.mark("settled")
                    self._stop_waiting(attempt.id, settled)
                    return self._with_next(settled, step, attempt, written.begun_boot_ns)
                order = None
                # Another process of this node changes the order: let it finish.
                await asyncio.sleep(random.uniform(0, 0.002 * 2 ** min(round_, 5)))
        raise ApiError.unavailable(
            "The outcome could not be written yet. Retry with the same Idempotency-Key."
        )

    async def would_tell(self, attempt: Attempt, result: Result) -> bool:
        """Whether an outcome would change anything, or contradicts what is known."""
        order, attempt = await self._fresh(attempt)
        step = await self._decide(order, attempt, result)
        return step is not None or self._contradiction(order, attempt, result) is not None

    async def _note_contradiction(self, order: Any, attempt: Attempt, result: Result) -> None:
        """What the provider says against what it said before is looked at by a person; nothing
        is undone."""
        found = self._contradiction(order, attempt, result)
        if found is not None:
            await self._store.rows("review_open", attempt.subject, attempt.id, *found)

    def _contradiction(
        self, order: Any, attempt: Attempt, result: Result
    ) -> tuple[str, str | None] | None:
        """Reason and detail of a review: another object than the one known, or a no after a yes."""
        told = steps.about_same(attempt, result)
        if told is not result and told.detail in SUSPICIOUS:
            return str(told.detail), result.provider_ref
        if order.state in self._kinds.of(attempt.subject).let_go:
            return None  # that the hold is gone is what was asked for
        no_after_yes = attempt.state == "approved" and result.outcome is Outcome.DECLINED
        charges = self._kinds.handler(attempt).charges
        return ("contradiction", result.code) if charges and no_after_yes else None

    def _stop_waiting(self, attempt: str, settled: RecordedOutcome) -> None:
        """The outcome is definite, or the next step's turn has come: whoever still waits for the
        provider's answer need not."""
        waiting = self.inflight.get(attempt)
        step = settled.step
        over = step is not None and (step.definite or step.attempt_step is not None)
        if over and waiting is not None and waiting is not asyncio.current_task():
            waiting.cancel()

    async def _fresh(self, attempt: Attempt) -> tuple[Any, Attempt]:
        order = await self._kinds.of(attempt.subject).find(self._store, attempt.subject)
        again = await attempt_store.find(self._store, attempt.id)
        assert order is not None and again is not None, "attempts are never deleted"
        return order, again

    async def _decide(self, order: Any, attempt: Attempt, result: Result) -> Transition[Any] | None:
        handler = self._kinds.handler(attempt)
        if steps.asks(result):
            assert handler.steps is not None, "agreed() lets no other operation ask for one"
            begins = functools.partial(self._rows.attempt_step, attempt)
            return handler.steps(order, attempt, result, begins, now_ms())
        if handler.onward is not None:
            following = await handler.onward(self._machine, order, attempt, result)
            if following is not None:
                return following
        acted_on = None
        if handler.acts_on is not None:
            acted_on = await handler.acts_on(self._store, order, attempt)
        return handler.outcome(order, attempt, acted_on, result, now_ms(), OPEN_LOOK_MS)

    async def _row(
        self, kind: Kind, step: Transition[Any], attempt: Attempt, expand: list[str] | None
    ) -> tuple[OrderMove, RecordedOutcome]:
        """The move for a step, with the stored answer once the outcome is definite."""
        key = attempt.key if step.definite else None
        if key is not None and expand is None:
            identity = key_identity(attempt.merchant, attempt.livemode, key)
            stored = await keys.find(self._store, identity)
            expand = unpacked(None if stored is None else stored.expand)
        if step.attempt_new is not None or step.attempt_step is not None:
            expand = None  # nobody is told of it, and its charge is not written yet
        status, body, plain = await kind.answer(self._store, step, expand or [], attempt)
        settled = RecordedOutcome(step.after, step, None, status, body)
        known = self._known(attempt, step)
        row = self._rows.move(
            kind, step, answer_key=key, status=status, body=body, plain=plain, known=known
        )
        return row, settled

    def _known(self, attempt: Attempt, step: Transition[Any]) -> KnownObject | None:
        """The id that the provider has given the attempt's object, where that is news and callbacks
        may name nothing else."""
        ends = (each for each in step.attempt_ends or () if each.id == attempt.id)
        told = step.attempt_step or next(ends, None)
        ref = None if told is None else told.provider_ref
        if ref is None or ref == attempt.provider_ref:
            return None
        profile = self._gateways.profile_of(attempt.gateway)
        if profile is None or not profile.callbacks_by_id:
            return None
        return KnownObject(attempt.id, ref, attempt.gateway)

    def _with_next(
        self,
        settled: RecordedOutcome,
        step: Transition[Any],
        attempt: Attempt,
        begun_boot_ns: int,
    ) -> RecordedOutcome:
        if step.attempt_step is not None:
            attempt = steps.stepped(attempt, step.attempt_step)
        elif step.attempt_new is not None:
            attempt = stored_attempt(step.after, step.attempt_new)
        else:
            return settled
        crash_point("next.permitted")
        return msgspec.structs.replace(
            settled, next=Permitted(step.after, attempt, permit(begun_boot_ns))
        )


def permit(begun_boot_ns: int) -> Permit:
    """Leave to send, counted from the start of the batch that committed the attempt."""
    return Permit(begun_boot_ns + PERMIT_NS)


def _uncancel() -> None:
    task = asyncio.current_task()
    if task is not None:
        task.uncancel()


def _unsent(error: str | None) -> Result:
    """No byte left this process: definitely no charge, and another gateway may be tried."""
    return Result(
        Outcome.DECLINED,
        code="processing_error",
        message="The provider could not be reached; nothing was sent. Try again.",
        detail="unsent",
        retryable=True,
    )
