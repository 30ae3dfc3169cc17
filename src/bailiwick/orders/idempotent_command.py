"""The shape that all verbs share: replay, claim the key with the first move, carry out, answer."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from bailiwick.base.errors import ApiError
from bailiwick.base.tenancy import own
from bailiwick.idempotency.requests import Answer, Idempotency, IdempotentRequest, first_write
from bailiwick.orders.attempts import AttemptNew
from bailiwick.orders.executor import AttemptExecutor, Permitted, RecordedOutcome, permit
from bailiwick.orders.kinds import Kind
from bailiwick.orders.row_builder import RowBuilder, stored_attempt
from bailiwick.orders.rows import OrderCreate
from bailiwick.orders.transition import Order, Transition
from bailiwick.runtime.crash import crash_point
from bailiwick.store.database import Store
from bailiwick.store.lanes import Written

ROUNDS_MAX = 20
OrderT = TypeVar("OrderT", bound=Order)
Decider = Callable[[OrderT], Awaitable[Transition[OrderT]]]
"""From an order as it is to what is done with it; raises ApiError where nothing may be."""


class IdempotentCommand:
    """Carries out what a verb decides: once for each key, whoever repeats it."""

    def __init__(
        self, store: Store, executor: AttemptExecutor, rows: RowBuilder, keys: Idempotency
    ) -> None:
        self._store = store
        self._executor = executor
        self._rows = rows
        self._keys = keys

    async def create(self, asked: IdempotentRequest, kind: Kind, row: OrderCreate) -> Written:
        """Write a new order with the key that asks for it; its fate."""
        return await first_write(self._store.write(kind.table.create_lane, row))

    async def change(
        self, asked: IdempotentRequest, kind: Kind, identifier: str, decide: Decider[Any]
    ) -> Answer:
        """Claim the key and make the first move in one commit; then carry out its attempt."""
        replayed = await self._keys.replay(asked)
        if replayed is not None:
            return replayed
        async with self._executor.locks.hold(identifier):
            for _ in range(ROUNDS_MAX):
                order = own(
                    await kind.find(self._store, identifier),
                    asked,
                    kind.object,
                    identifier,
                    param=kind.param,
                )
                step = await decide(order)
                settled = await self._begin(asked, kind, step)
                if isinstance(settled, Written):
                    break
                if settled is not None:
                    return settled
            else:
                if (await self._store.fence()).fenced:
                    return await self.lost(asked)
                raise ApiError.conflict(
                    f"The {kind.label} is being changed by other requests. Retry with the same "
                    "Idempotency-Key."
                )
        assert step.attempt_new is not None, "a step without one was answered when it was written"
        return await self.carry_out(asked, step.after, step.attempt_new, settled)

    async def by_itself(
        self,
        kind: Kind,
        identifier: str,
        decide: Callable[[Any], Awaitable[Transition[Any] | None]],
    ) -> bool:
        """Do what nobody has asked for, such as to let go of a hold that has run out.

        The move's commit is the permit, as for a request; there is no key, and nobody is answered.
        ``decide``: None where there is nothing to do (any more). True: it was begun here.

        Raises:
            ApiError: 503, it could not be written; nothing was sent.
        """
        async with self._executor.locks.hold(identifier):
            order = await kind.find(self._store, identifier)
            step = None if order is None else await decide(order)
            if step is None:
                return False
            row = self._rows.move(kind, step)
            crash_point("begin.before")
            written = await first_write(self._store.write(kind.table.move_lane, row))
            if not written.done:
                return False  # somebody else has changed it; the next look decides anew
            crash_point("begin.committed")
        if step.attempt_new is not None:
            attempt = stored_attempt(step.after, step.attempt_new)
            await self._executor.drive(
                Permitted(step.after, attempt, permit(written.begun_boot_ns))
            )
        return True

    async def _begin(
        self, asked: IdempotentRequest, kind: Kind, step: Transition[Any]
    ) -> Written | Answer | None:
        """Write the first move: its fate, or the answer where that is all, or a replay; None when
        the order has moved on."""
        target = step.part.row.id if step.part is not None else step.after.id
        status, body, plain, answer_key = 200, None, False, None
        if step.attempt_new is None:
            status, body, plain = await kind.answer(self._store, step, asked.expand, None)
            answer_key = asked.key
        row = self._rows.move(
            kind,
            step,
            claim=asked.claim(target),
            answer_key=answer_key,
            status=status,
            body=body,
            plain=plain,
        )
        crash_point("begin.before")
        written = await first_write(self._store.write(kind.table.move_lane, row))
        if written.done:
            crash_point("begin.committed")
            return written if body is None else Answer(status, body)
        return await self._keys.replay(asked)

    async def carry_out(
        self, asked: IdempotentRequest, order: Order, attempt: AttemptNew, written: Written
    ) -> Answer:
        """Send an attempt whose commit is done, and answer with how it ended. Raises ApiError."""
        first = Permitted(order, stored_attempt(order, attempt), permit(written.begun_boot_ns))
        settled = await self._executor.drive(first, asked.expand)
        return await self._told(asked, settled)

    async def _told(self, asked: IdempotentRequest, settled: RecordedOutcome) -> Answer:
        """The answer once the attempt was carried out."""
        if settled.step is not None and settled.step.definite and settled.body is not None:
            return Answer(settled.status, settled.body)
        # Not definite, or somebody else (a callback) has written the outcome: as it stands.
        replayed = await self._keys.replay(asked)
        assert replayed is not None, "the key was claimed with the attempt"
        return replayed

    async def lost(self, asked: IdempotentRequest) -> Answer:
        """Nothing was written: the key is taken, or the node may not write."""
        replayed = await self._keys.replay(asked)
        if replayed is not None:
            return replayed
        raise ApiError.unavailable(
            "This node is fenced and writes nothing. Retry with the same Idempotency-Key.",
            code="node_fenced",
        )
