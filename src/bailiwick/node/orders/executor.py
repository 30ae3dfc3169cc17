"""Call, then write: carry out an attempt that was committed, and commit how it ended.

``drive`` is the second half of every payment's path; the resolver and callbacks enter at
``record_outcome``. No database transaction is open during a call.
"""

import asyncio
import random
from typing import Any

import msgspec
import structlog

from bailiwick.base.clock import now_ms
from bailiwick.base.errors import ApiError
from bailiwick.base.keys import key_identity
from bailiwick.channels.base import (
    INVALID_REQUEST,
    Instruction,
    NotBuilt,
    Operation,
    Outcome,
    Permit,
    Phase,
    Result,
    of_same,
    read,
)
from bailiwick.idempotency.requests import unpacked
from bailiwick.node.orders.cascade import Cascade
from bailiwick.node.orders.outcomes import OUTCOMES
from bailiwick.node.orders.row_builder import RowBuilder, stored_attempt
from bailiwick.node.payments.charge_outcomes import Transition
from bailiwick.node.payments.states import State
from bailiwick.routing.gateways import Gateways, build, defective
from bailiwick.runtime import timing
from bailiwick.runtime.crash import crash_point
from bailiwick.runtime.turns import Turns
from bailiwick.store.database import Store
from bailiwick.store.lanes import BadRow, LaneFull, WriteInDoubt
from bailiwick.store.rows import Attempt, Move, Payment

PERMIT_NS = 5_000_000_000
"""How long after its batch was begun an attempt's first byte may be sent. A fence waits so long."""
ROUNDS_MAX = 24
OPEN_LOOK_MS = 1_000

log = structlog.get_logger()
_instruction = msgspec.json.Decoder(Instruction)


class Permitted(msgspec.Struct, frozen=True):
    """An attempt whose commit is done, and its permit to send."""

    payment: Payment
    attempt: Attempt
    permit: Permit


class RecordedOutcome(msgspec.Struct, frozen=True):
    """How an attempt's outcome was written.

    Attributes:
        step: the change written; None when there was nothing to do.
        next: the next attempt, committed and to be driven.
        status, body: the answer to the request that asked for the attempt.
    """

    payment: Payment
    step: Transition | None = None
    next: Permitted | None = None
    status: int = 200
    body: msgspec.Raw | None = None


class AttemptExecutor:
    """Carries out attempts and commits their outcomes.

    Attributes:
        rows: makes the rows that are written.
        locks: one holder per payment in this process: it spares the database vain writes. What
            keeps money exact is the guard in SQL.
    """

    def __init__(self, rows: RowBuilder, store: Store, gateways: Gateways) -> None:
        self.rows = rows
        self._store = store
        self._gateways = gateways
        self._cascade = Cascade(rows, store, gateways)
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
                return RecordedOutcome(now.payment)
            finally:
                del self.inflight[now.attempt.id]
            settled = await self.record_outcome(now.attempt, result, now.payment, expand)
            now = settled.next
        return settled

    async def _call(self, permitted: Permitted) -> Result:
        """One exchange with the provider, read as an outcome."""
        attempt = permitted.attempt
        gateway = self._gateways.get(attempt.gateway)
        if gateway is None:
            return _unsent("the gateway is no longer configured")
        instruction = _instruction.decode(attempt.instruction)
        request = build(gateway, instruction)
        if isinstance(request, NotBuilt):
            return request
        crash_point("call.before")
        exchange = await gateway.exchange(request, permitted.permit)
        crash_point("call.answered")
        timing.mark("answered")
        if exchange.phase is Phase.UNSENT:
            if exchange.error == INVALID_REQUEST:
                log.error("channel_defect", gateway=gateway.name, attempt=attempt.id)
                return defective(gateway.profile)
            gateway.saw(Outcome.UNKNOWN, "unsent")
            return _unsent(exchange.error)
        result = read(gateway.channel, instruction, exchange)
        gateway.saw(result.outcome, result.detail)
        return result

    async def record_outcome(
        self,
        attempt: Attempt,
        result: Result,
        payment: Payment | None = None,
        expand: list[str] | None = None,
    ) -> RecordedOutcome:
        """Commit an outcome. ``payment`` as last seen saves a read; it is guarded anyway.

        Raises:
            ApiError: 503, it could not be written now; nothing is lost, the attempt stays open.
        """
        async with self.locks.hold(attempt.payment):
            for round_ in range(ROUNDS_MAX):
                if payment is None:
                    payment, attempt = await self._fresh(attempt)
                told = of_same(attempt.provider_ref, result)
                step = await self._decide(payment, attempt, told)
                if step is None:
                    await self._note_contradiction(payment, attempt, result)
                    return RecordedOutcome(payment)
                row, settled = await self._row(step, attempt, expand)
                crash_point("settle.before")
                try:
                    written = await self._store.move(row)
                except (WriteInDoubt, LaneFull):
                    await asyncio.sleep(0.05 * 2 ** min(round_, 5))
                    payment = None
                    continue
                except BadRow as refused:
                    # Our defect, and money may have moved: a person must see it.
                    detail = str(refused)[:200]
                    await self._store.rows(
                        "review_open", attempt.payment, attempt.id, "unwritable", detail
                    )
                    raise ApiError.defect() from None
                if written.done:
                    crash_point("settle.committed")
                    timing.mark("settled")
                    self._stop_waiting(attempt.id, settled)
                    return self._with_next(settled, step, written.begun_boot_ns)
                payment = None
                # Another process of this node changes the payment: let it finish.
                await asyncio.sleep(random.uniform(0, 0.002 * 2 ** min(round_, 5)))
        raise ApiError.unavailable(
            "The outcome could not be written yet. Retry with the same Idempotency-Key."
        )

    async def would_tell(self, attempt: Attempt, result: Result) -> bool:
        """Whether an outcome would change anything, or contradicts what is known."""
        payment, attempt = await self._fresh(attempt)
        step = await self._decide(payment, attempt, result)
        return step is not None or _contradiction(payment, attempt, result) is not None

    async def _note_contradiction(self, payment: Payment, attempt: Attempt, result: Result) -> None:
        """What the provider says against what it said before is looked at by a person; nothing
        is undone."""
        found = _contradiction(payment, attempt, result)
        if found is not None:
            await self._store.rows("review_open", attempt.payment, attempt.id, *found)

    def _stop_waiting(self, attempt: str, settled: RecordedOutcome) -> None:
        """The outcome is definite: whoever still waits for the provider's answer need not."""
        waiting = self.inflight.get(attempt)
        definite = settled.step is not None and settled.step.definite
        if definite and waiting is not None and waiting is not asyncio.current_task():
            waiting.cancel()

    async def _fresh(self, attempt: Attempt) -> tuple[Payment, Attempt]:
        payment = await self._store.payment(attempt.payment)
        again = await self._store.attempt(attempt.id)
        assert payment is not None and again is not None, "attempts are never deleted"
        return payment, again

    async def _decide(
        self, payment: Payment, attempt: Attempt, result: Result
    ) -> Transition | None:
        handler = OUTCOMES[Operation(attempt.operation)]
        if handler.cascades:
            following = await self._cascade.next(payment, attempt, result)
            if following is not None:
                return following
        acted_on = await handler.acts_on(self._store, payment, attempt)
        return handler.outcome(payment, attempt, acted_on, result, now_ms(), OPEN_LOOK_MS)

    async def _row(
        self, step: Transition, attempt: Attempt, expand: list[str] | None
    ) -> tuple[Move, RecordedOutcome]:
        """The move for a step, with the stored answer once the outcome is definite."""
        key = attempt.key if step.definite else None
        if key is not None and expand is None:
            identity = key_identity(attempt.merchant, attempt.livemode, key)
            stored = await self._store.key(identity)
            expand = unpacked(None if stored is None else stored.expand)
        if step.attempt_new is not None:
            expand = None  # nobody is told of it, and its charge is not written yet
        status, body, plain = await self.rows.answer(step, expand or [], attempt)
        settled = RecordedOutcome(step.after, step, None, status, body)
        row = self.rows.move(step, answer_key=key, status=status, body=body, plain=plain)
        return row, settled

    def _with_next(
        self, settled: RecordedOutcome, step: Transition, begun_boot_ns: int
    ) -> RecordedOutcome:
        if step.attempt_new is None:
            return settled
        attempt = stored_attempt(step.after, step.attempt_new)
        return msgspec.structs.replace(
            settled, next=Permitted(step.after, attempt, permit(begun_boot_ns))
        )


def permit(begun_boot_ns: int) -> Permit:
    """Leave to send, counted from the start of the batch that committed the attempt."""
    return Permit(begun_boot_ns + PERMIT_NS)


def _contradiction(
    payment: Payment, attempt: Attempt, result: Result
) -> tuple[str, str | None] | None:
    """Reason and detail of a review: another object than the one known, or a no after a yes."""
    if of_same(attempt.provider_ref, result) is not result:
        return "reference_mismatch", result.provider_ref
    if payment.state in (State.VOIDING, State.CANCELED):
        return None  # that the hold is gone is what was asked for
    charging = attempt.operation in (Operation.CHARGE, Operation.CAPTURE)
    no_after_yes = attempt.state == "approved" and result.outcome is Outcome.DECLINED
    return ("contradiction", result.code) if charging and no_after_yes else None


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
