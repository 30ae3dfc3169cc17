"""Call, then write: carry out an attempt that was committed, and commit how it ended.

``drive`` is the second half of every payment's path; the resolver and callbacks enter at
``record_outcome``. No database transaction is open during a call.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
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
from bailiwick.node.delivery.webhooks import Endpoints
from bailiwick.node.orders.row_builder import RowBuilder, stored_attempt, wanted
from bailiwick.node.payments import charge_outcomes, editing, follow_up_outcomes
from bailiwick.node.payments.charge_outcomes import Transition
from bailiwick.node.payments.states import State
from bailiwick.routing.gateways import Gateways, build, defective
from bailiwick.routing.match import Routing, Wanted
from bailiwick.runtime import timing
from bailiwick.runtime.crash import crash_point
from bailiwick.store.database import Store
from bailiwick.store.lanes import BadRow, LaneFull, WriteInDoubt
from bailiwick.store.rows import Attempt, Move, Payment
from bailiwick.topology.snapshot import World

PERMIT_NS = 5_000_000_000
"""How long after its batch was begun an attempt's first byte may be sent. A fence waits so long."""
ATTEMPTS_MAX = 3
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


class Locks:
    """One holder per payment in this process: it spares the database vain writes.

    What keeps money exact is the guard in SQL; this only keeps order.
    """

    def __init__(self) -> None:
        self._held: dict[str, tuple[asyncio.Lock, list[None]]] = {}

    @asynccontextmanager
    async def hold(self, payment: str) -> AsyncIterator[None]:
        """Wait for one's turn on a payment."""
        lock, holders = self._held.setdefault(payment, (asyncio.Lock(), []))
        holders.append(None)
        try:
            async with lock:
                yield
        finally:
            holders.pop()
            if not holders:
                self._held.pop(payment, None)


class AttemptExecutor(RowBuilder):
    """Carries out attempts and commits their ends."""

    def __init__(
        self,
        node: int,
        store: Store,
        gateways: Gateways,
        endpoints: Endpoints,
        world: Callable[[], World],
    ) -> None:
        super().__init__(node, store, gateways, endpoints, world)
        self.locks = Locks()
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
        now, look = now_ms(), OPEN_LOOK_MS
        operation = Operation(attempt.operation)
        if operation is Operation.CHARGE:
            cascade = await self._next(payment, attempt, result)
            return cascade or charge_outcomes.charge(payment, attempt, result, now, look)
        if operation is Operation.CAPTURE:
            return follow_up_outcomes.capture(payment, attempt, result, now, look)
        if operation is Operation.VOID:
            charged = await self._store.attempt(payment.charge_attempt or "")
            assert charged is not None, "a void follows a charge"
            return follow_up_outcomes.void(payment, attempt, charged, result, now, look)
        row = await self._store.refund(attempt.refund or "")
        assert row is not None, "a refund is written with its attempt"
        return follow_up_outcomes.refund(payment, attempt, row, result, now, look)

    async def _next(self, payment: Payment, attempt: Attempt, result: Result) -> Transition | None:
        """The next gateway's attempt, only after a definite no-charge that allows it."""
        merchant = self.world.merchants.by_id.get(payment.merchant)
        may = result.retryable and merchant is not None and merchant.cascade
        if (
            result.outcome is not Outcome.DECLINED
            or not may
            or attempt.state not in charge_outcomes.OPEN
            or payment.open_attempt != attempt.id
            or attempt.number >= ATTEMPTS_MAX
        ):
            return None
        tried = {attempt.gateway}
        if attempt.number > 1:
            tried = {each.gateway for each in await self._store.attempts(payment.id)}
        assert merchant is not None
        instruction = _instruction.decode(attempt.instruction)
        # What is sent on is the instruction's token: only its owner may see it.
        wish = wanted(
            payment,
            merchant.strategy,
            token=instruction.token,
            shown_to=self._gateways.vault_of(attempt.gateway),
        )
        routing = self._gateways.match(wish, tried)
        if routing.gateway is None:
            return None
        new = self.attempt_new(payment, instruction, routing.gateway, attempt.key)
        facts = editing.routing_shown(routing)
        return charge_outcomes.next_attempt(payment, attempt, result, new, facts, now_ms())

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
        status, body, plain = await self.answer(step, expand or [], attempt)
        settled = RecordedOutcome(step.after, step, None, status, body)
        row = self.move(step, answer_key=key, status=status, body=body, plain=plain)
        return row, settled

    def check_part(self, payment: Payment, gateway: str, operation: Operation, amount: int) -> None:
        """Refuse a part where the provider can only do the whole, or cannot express it. Raises
        ApiError (400)."""
        known = self._gateways.get(gateway)
        if known is None:
            return
        profile = known.profile
        unit = profile.multiples.get(payment.currency, 1)
        if amount % unit and operation is not Operation.VOID:
            raise ApiError.invalid(
                f"{profile.title} takes only multiples of {unit} in {payment.currency}.",
                param="amount_to_capture" if operation is Operation.CAPTURE else "amount",
                code="parameter_invalid_integer",
            )
        capturing = operation is Operation.CAPTURE and not profile.partial_capture
        refunding = operation is Operation.REFUND and not profile.partial_refund
        part_of_hold = capturing and amount < payment.amount_capturable
        if part_of_hold or (refunding and amount < payment.amount_received):
            raise ApiError.invalid(
                f"{profile.title} can only {operation.value} the whole amount.",
                param="amount_to_capture" if capturing else "amount",
                code="partial_amount_unsupported",
            )

    def has_vault(self, vault: str, livemode: bool) -> bool:
        """Whether a gateway of this node has a vault."""
        return self._gateways.has_vault(vault, livemode)

    def match(self, wanted: Wanted) -> Routing:
        """Match a gateway."""
        return self._gateways.match(wanted)

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
