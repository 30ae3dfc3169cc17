"""The shape that all verbs share: replay, claim with the first move, carry out, tell."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from bailiwick.base.clock import now_ms
from bailiwick.base.errors import ApiError
from bailiwick.base.ids import new_token
from bailiwick.node import render
from bailiwick.node.decide import Step
from bailiwick.node.idempotency import Answer, Asked, Idempotency, Refused
from bailiwick.node.settle import Permitted, Settled, Settlement, permit
from bailiwick.node.tenancy import own
from bailiwick.node.writing import stored_attempt
from bailiwick.shell.crash import crash_point
from bailiwick.store.database import Store
from bailiwick.store.lanes import BadRow, LaneFull, WriteInDoubt, Written
from bailiwick.store.rows import AttemptNew, Payment, Refuse, StoredKey

ROUNDS_MAX = 20
Fate = Refused | Answer | ApiError
"""What became of a key that was to be refused: it is; it was used before; or it could not be."""
Decider = Callable[[Payment], Awaitable[tuple[Step, AttemptNew | None]]]


class Acting:
    """Carries out what the verbs of ``Payments`` decide."""

    def __init__(self, node: int, store: Store, settlement: Settlement, deadline_s: float) -> None:
        self._node = node
        self._store = store
        self._settlement = settlement
        self.keys = Idempotency(store, deadline_s, self._in_progress)

    async def refuse(self, asked: Asked, reason: str) -> Answer:
        """Commit a tombstone for a key, so that it may be served elsewhere, and say so.

        A key that was claimed before gets what it was told then: its payment is here.

        Raises:
            Refused: the tombstone is there.
            ApiError: 503, nothing could be written; 400, the key was used for another request.
        """
        (fate,) = await self.refuse_all([(asked, reason)])
        if isinstance(fate, Exception):
            raise fate
        return fate

    async def refuse_all(self, wishes: Sequence[tuple[Asked, str]]) -> list[Fate]:
        """The same for many keys, which share commits: each one's fate, in their order."""
        now = now_ms()
        writing: list[asyncio.Future[Written] | LaneFull] = []
        for asked, reason in wishes:
            row = Refuse(
                asked.merchant.id,
                asked.livemode,
                asked.key,
                asked.request_hash,
                asked.operation,
                reason,
                new_token(),
                now,
            )
            try:
                writing.append(self._store.refuse(row))
            except LaneFull as full:
                writing.append(full)
        return [
            await self._fate(asked, reason, each)
            for (asked, reason), each in zip(wishes, writing, strict=True)
        ]

    async def _fate(
        self, asked: Asked, reason: str, writing: "asyncio.Future[Written] | LaneFull"
    ) -> Fate:
        try:
            if isinstance(writing, LaneFull):
                raise _unwritten()
            if (await self._write(writing)).done:
                return Refused(reason)
            replayed = await self.keys.replay(asked)  # raises an earlier tombstone of this key
        except (ApiError, Refused) as fate:
            return fate
        return replayed or ApiError.unavailable(
            "This node takes no new payments at the moment. Retry with the same Idempotency-Key."
        )

    async def _act(self, asked: Asked, identifier: str, build: Decider) -> Answer:
        """Claim the key and make the first move in one commit; then carry out its attempt."""
        replayed = await self.keys.replay(asked)
        if replayed is not None:
            return replayed
        async with self._settlement.locks.hold(identifier):
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
                    return await self._lost(asked)
                raise ApiError.conflict(
                    "The PaymentIntent is being changed by other requests. Retry with the same "
                    "Idempotency-Key."
                )
        assert attempt is not None, "a step without an attempt was answered when it was written"
        return await self._drive(asked, step.after, attempt, settled)

    async def _begin(
        self, asked: Asked, step: Step, attempt: AttemptNew | None
    ) -> Written | Answer | None:
        """Write the first move: its fate, or the answer where that is all, or a replay; None when
        the payment has moved on."""
        target = step.refund.id if step.refund is not None else step.after.id
        status, body, plain, answer_key = 200, None, False, None
        if attempt is None:
            status, body, plain = await self._settlement.answer(step, asked.expand)
            answer_key = asked.key
        row = self._settlement.move(
            step,
            claim=asked.claim(target),
            answer_key=answer_key,
            status=status,
            body=body,
            plain=plain,
        )
        crash_point("begin.before")
        written = await self._write(self._store.move(row))
        if written.done:
            crash_point("begin.committed")
            return written if body is None else Answer(status, body)
        return await self.keys.replay(asked)

    async def _drive(
        self, asked: Asked, payment: Payment, attempt: AttemptNew, written: Written
    ) -> Answer:
        first = Permitted(payment, stored_attempt(payment, attempt), permit(written.begun_boot_ns))
        settled = await self._settlement.drive(first, asked.expand)
        return await self._told(asked, settled)

    async def _told(self, asked: Asked, settled: Settled) -> Answer:
        """The answer once the attempt was carried out."""
        if settled.step is not None and settled.step.definite and settled.body is not None:
            return Answer(settled.status, settled.body)
        # Not definite, or somebody else (a callback) has written the outcome: as it stands.
        replayed = await self.keys.replay(asked)
        assert replayed is not None, "the key was claimed with the attempt"
        return replayed

    async def _write(self, writing: Awaitable[Written]) -> Written:
        """A first write: when its fate is unknown, nothing is sent and the client retries.

        Should it turn out to have been committed, the permit is never used, and the resolver
        closes the attempt.
        """
        try:
            return await writing
        except (WriteInDoubt, LaneFull):
            raise _unwritten() from None
        except BadRow:
            raise ApiError.defect() from None

    async def _lost(self, asked: Asked) -> Answer:
        """Nothing was written: the key is taken, or the node may not write."""
        replayed = await self.keys.replay(asked)
        if replayed is not None:
            return replayed
        raise ApiError.unavailable(
            "This node is fenced and writes nothing. Retry with the same Idempotency-Key.",
            code="node_fenced",
        )

    async def _in_progress(self, asked: Asked, stored: StoredKey) -> Answer:
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

    async def owned(self, asked: Asked, identifier: str) -> Payment:
        """A payment of the asking merchant. Raises ApiError (404)."""
        payment = await self._store.payment(identifier)
        return own(payment, asked, "payment_intent", identifier, param="intent")


def _unwritten() -> ApiError:
    return ApiError.unavailable(
        "The payment could not be written. Retry with the same Idempotency-Key."
    )
