"""The shape that all verbs share: replay, claim with the first move, carry out, tell."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Literal

from bailiwick.base.clock import now_ms
from bailiwick.base.errors import ApiError
from bailiwick.base.ids import new_token
from bailiwick.base.keys import Named
from bailiwick.base.tenancy import own
from bailiwick.idempotency.requests import Answer, Idempotency, IdempotentRequest, Refused
from bailiwick.node.orders.executor import AttemptExecutor, Permitted, RecordedOutcome, permit
from bailiwick.node.orders.row_builder import stored_attempt
from bailiwick.node.payments import render
from bailiwick.node.payments.charge_outcomes import Transition
from bailiwick.runtime.crash import crash_point
from bailiwick.store.database import Store
from bailiwick.store.lanes import BadRow, LaneFull, WriteInDoubt, Written
from bailiwick.store.rows import AttemptNew, Payment, Refuse, StoredKey

ROUNDS_MAX = 20
Fate = Refused | Literal["known", "mismatch", "unwritten"]
"""What became of a key that was to be refused: it is; it was used before, by the same request or
another; or nothing was written."""
Decider = Callable[[Payment], Awaitable[tuple[Transition, AttemptNew | None]]]


class IdempotentCommand:
    """Carries out what the verbs of ``Payments`` decide."""

    def __init__(
        self, node: int, store: Store, executor: AttemptExecutor, deadline_s: float
    ) -> None:
        self._node = node
        self._store = store
        self._executor = executor
        self.keys = Idempotency(store, deadline_s, self._in_progress)

    async def refuse(self, asked: IdempotentRequest, reason: str) -> Answer:
        """Commit a tombstone for a key, so that it may be served elsewhere, and say so.

        A key that was claimed before gets what it was told then: its payment is here.

        Raises:
            Refused: the tombstone is there.
            ApiError: 503, nothing could be written; 400, the key was used for another request.
        """
        (fate,) = await self.refuse_all([asked.named], reason, asked.key)
        if isinstance(fate, Refused):
            raise fate
        if fate != "unwritten" and (replayed := await self.keys.replay(asked)) is not None:
            return replayed
        raise ApiError.unavailable(
            "This node takes no new payments at the moment. Retry with the same Idempotency-Key."
        )

    async def refuse_all(
        self, named: Sequence[Named], reason: str, key: str | None = None
    ) -> list[Fate]:
        """The same for many keys, in one commit: each one's fate, in their order. ``key``: where
        it is known, of a single one."""
        rows, places = _grouped(named, reason, key)
        refused = Refused(reason)
        fates: list[Fate] = ["unwritten"] * len(named)
        queued = [self._refuse(row) for row in rows]
        for row, at, writing in zip(rows, places, queued, strict=True):
            try:
                written = await self._write(writing)
            except ApiError:
                continue
            for number, place in enumerate(at):
                if row.writer + number in written.tokens:
                    fates[place] = refused
                else:
                    fates[place] = await self._known(named[place])
        return fates

    def _refuse(self, row: Refuse) -> "asyncio.Future[Written]":
        """Queue at once, so that all share a commit; what the lane says comes when waited for."""
        try:
            return self._store.refuse(row)
        except LaneFull as full:
            refused: asyncio.Future[Written] = asyncio.get_running_loop().create_future()
            refused.set_exception(full)
            return refused

    async def _known(self, named: Named) -> Fate:
        """What is stored of a key that was not refused just now."""
        stored = await self._store.key(named.identity)
        if stored is None:
            return "unwritten"
        if stored.request_hash != named.request_hash:
            return "mismatch"
        return "known" if stored.refused is None else Refused(stored.refused)

    async def _act(self, asked: IdempotentRequest, identifier: str, build: Decider) -> Answer:
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
                    return await self._lost(asked)
                raise ApiError.conflict(
                    "The PaymentIntent is being changed by other requests. Retry with the same "
                    "Idempotency-Key."
                )
        assert attempt is not None, "a step without an attempt was answered when it was written"
        return await self._drive(asked, step.after, attempt, settled)

    async def _begin(
        self, asked: IdempotentRequest, step: Transition, attempt: AttemptNew | None
    ) -> Written | Answer | None:
        """Write the first move: its fate, or the answer where that is all, or a replay; None when
        the payment has moved on."""
        target = step.refund.id if step.refund is not None else step.after.id
        status, body, plain, answer_key = 200, None, False, None
        if attempt is None:
            status, body, plain = await self._executor.answer(step, asked.expand)
            answer_key = asked.key
        row = self._executor.move(
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
        self, asked: IdempotentRequest, payment: Payment, attempt: AttemptNew, written: Written
    ) -> Answer:
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

    async def _lost(self, asked: IdempotentRequest) -> Answer:
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


def _identity(placed: tuple[int, Named]) -> str:
    return placed[1].identity


def _grouped(
    named: Sequence[Named], reason: str, key: str | None
) -> tuple[list[Refuse], list[list[int]]]:
    """Rows for the keys of each merchant, and at which places of the list their keys stand."""
    places: dict[tuple[str, bool], list[int]] = {}
    # In the order of the index that they go into.
    for place, each in sorted(enumerate(named), key=_identity):
        places.setdefault((each.merchant, each.livemode), []).append(place)
    now = now_ms()
    rows = [
        Refuse(
            merchant,
            livemode,
            key,
            reason,
            new_token() >> 1,  # the next ones' tokens follow
            now,
            [named[place].identity for place in at],
            [named[place].request_hash for place in at],
        )
        for (merchant, livemode), at in places.items()
    ]
    return rows, list(places.values())


def _unwritten() -> ApiError:
    return ApiError.unavailable(
        "The payment could not be written. Retry with the same Idempotency-Key."
    )
