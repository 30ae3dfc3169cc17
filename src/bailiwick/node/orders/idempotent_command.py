"""The shape that all verbs share: replay, claim the key with the first move, carry out, answer."""

from collections.abc import Awaitable, Callable

from bailiwick.base.errors import ApiError
from bailiwick.base.tenancy import own
from bailiwick.idempotency.requests import Answer, Idempotency, IdempotentRequest
from bailiwick.node.orders.executor import AttemptExecutor, Permitted, RecordedOutcome, permit
from bailiwick.node.orders.first_write import first_write
from bailiwick.node.orders.row_builder import stored_attempt
from bailiwick.node.payments import render
from bailiwick.node.payments.charge_outcomes import Transition
from bailiwick.runtime.crash import crash_point
from bailiwick.store.database import Store
from bailiwick.store.lanes import Written
from bailiwick.store.rows import AttemptNew, Payment, StoredKey

ROUNDS_MAX = 20
Decider = Callable[[Payment], Awaitable[tuple[Transition, AttemptNew | None]]]


class IdempotentCommand:
    """Carries out what a verb decides: once for each key, whoever repeats it.

    Attributes:
        keys: what was claimed, and what is under way.
    """

    def __init__(self, store: Store, executor: AttemptExecutor, deadline_s: float) -> None:
        self._store = store
        self._executor = executor
        self.keys = Idempotency(store, deadline_s, self._in_progress)

    async def change(self, asked: IdempotentRequest, identifier: str, build: Decider) -> Answer:
        """Claim the key and make the first move in one commit; then carry out its attempt."""
        replayed = await self.keys.replay(asked)
        if replayed is not None:
            return replayed
        async with self._executor.locks.hold(identifier):
            for _ in range(ROUNDS_MAX):
                payment = await self.owned(asked, identifier)
                step, attempt = await build(payment)
                settled = await self._begin(asked, step, attempt)
                if isinstance(settled, Written):
                    break
                if settled is not None:
                    return settled
            else:
                if (await self._store.fence()).fenced:
                    return await self.lost(asked)
                raise ApiError.conflict(
                    "The PaymentIntent is being changed by other requests. Retry with the same "
                    "Idempotency-Key."
                )
        assert attempt is not None, "a step without an attempt was answered when it was written"
        return await self.carry_out(asked, step.after, attempt, settled)

    async def _begin(
        self, asked: IdempotentRequest, step: Transition, attempt: AttemptNew | None
    ) -> Written | Answer | None:
        """Write the first move: its fate, or the answer where that is all, or a replay; None when
        the payment has moved on."""
        target = step.refund.id if step.refund is not None else step.after.id
        status, body, plain, answer_key = 200, None, False, None
        if attempt is None:
            status, body, plain = await self._executor.rows.answer(step, asked.expand)
            answer_key = asked.key
        row = self._executor.rows.move(
            step,
            claim=asked.claim(target),
            answer_key=answer_key,
            status=status,
            body=body,
            plain=plain,
        )
        crash_point("begin.before")
        written = await first_write(self._store.move(row))
        if written.done:
            crash_point("begin.committed")
            return written if body is None else Answer(status, body)
        return await self.keys.replay(asked)

    async def carry_out(
        self, asked: IdempotentRequest, payment: Payment, attempt: AttemptNew, written: Written
    ) -> Answer:
        """Send an attempt whose commit is done, and answer with how it ended. Raises ApiError."""
        first = Permitted(payment, stored_attempt(payment, attempt), permit(written.begun_boot_ns))
        settled = await self._executor.drive(first, asked.expand)
        return await self._told(asked, settled)

    async def _told(self, asked: IdempotentRequest, settled: RecordedOutcome) -> Answer:
        """The answer once the attempt was carried out."""
        if settled.step is not None and settled.step.definite and settled.body is not None:
            return Answer(settled.status, settled.body)
        # Not definite, or somebody else (a callback) has written the outcome: as it stands.
        replayed = await self.keys.replay(asked)
        assert replayed is not None, "the key was claimed with the attempt"
        return replayed

    async def lost(self, asked: IdempotentRequest) -> Answer:
        """Nothing was written: the key is taken, or the node may not write."""
        replayed = await self.keys.replay(asked)
        if replayed is not None:
            return replayed
        raise ApiError.unavailable(
            "This node is fenced and writes nothing. Retry with the same Idempotency-Key.",
            code="node_fenced",
        )

    async def _in_progress(self, asked: IdempotentRequest, stored: StoredKey) -> Answer:
        """The object of a key without an answer, as it is now; not stored."""
        target = stored.object or ""
        if target.startswith("re_"):
            row = await self._store.refund(target)
            assert row is not None
            payment = await self._store.payment(row.payment)
            assert payment is not None
            return Answer(200, render.encode(render.refund(row, payment)), replayed=True)
        payment = await self._store.payment(target)
        assert payment is not None, "a claimed key has its object"
        return Answer(200, render.encode(render.payment_intent(payment)), replayed=True)

    async def owned(self, asked: IdempotentRequest, identifier: str) -> Payment:
        """A payment of the asking merchant. Raises ApiError (404)."""
        payment = await self._store.payment(identifier)
        return own(payment, asked, "payment_intent", identifier, param="intent")
