"""Payouts as the machine of orders knows them: where they are kept, and how they answer."""

from typing import Any

import msgspec

from bailiwick.base.objects import encode
from bailiwick.channels.contract import Operation
from bailiwick.orders import attempt_store
from bailiwick.orders.attempts import Attempt
from bailiwick.orders.kinds import Handler, alone
from bailiwick.orders.table import OrderTable
from bailiwick.orders.transition import Transition
from bailiwick.resources.payouts import outcome, render, stored
from bailiwick.resources.payouts.rows import TABLE, Payout, PayoutMove, sending
from bailiwick.store.database import Store


class PayoutKind:
    """The kind of orders that send a merchant's money out once; see ``orders.kinds.Kind``."""

    table: OrderTable = TABLE
    prefix = "po"
    object = "payout"
    label = "payout"
    param = "payout"
    let_go: frozenset[str] = frozenset()

    async def find(self, store: Store, identifier: str) -> Payout | None:
        """A payout by id."""
        return await stored.find(store, identifier)

    def move_row(self, step: Transition[Payout], common: dict[str, Any]) -> PayoutMove:
        """The row of a step."""
        if step.after.progress != step.before.progress:
            common["content"] = bytes(encode(step.after)).decode()
        return PayoutMove(**common)

    def event_body(self, step: Transition[Payout]) -> msgspec.Raw:
        """The payout as it is afterwards."""
        return encode(render.payout(step.after))

    def first_event_body(self, content: str) -> msgspec.Raw:
        """The payout as its first event tells of it."""
        return encode(render.payout(stored.content_of(content)))

    async def answer(
        self, store: Store, step: Transition[Payout], expand: list[str], attempt: Attempt | None
    ) -> tuple[int, msgspec.Raw, bool]:
        """Status and body for the request that asked for a step; plain: the object as it is."""
        if step.error is not None:
            return 400, encode({"error": step.error}), False
        return 200, encode(render.payout(step.after)), True


async def as_it_is(store: Store, identifier: str) -> msgspec.Raw:
    """A payout as it is now."""
    row = await stored.find(store, identifier)
    assert row is not None, "a claimed key has its object"
    return encode(render.payout(row))


async def _sender(store: Store, payout: Payout, attempt: Attempt) -> Attempt:
    found = await attempt_store.find(store, sending(payout.id))
    assert found is not None, "a payout begins with the attempt that sends it"
    return found


KIND = PayoutKind()
OBJECTS = {KIND.prefix: as_it_is}
HANDLERS = {
    ("po", Operation.PAYOUT): Handler(alone(outcome.sent), may_return=True),
    ("po", Operation.PAYOUT_CANCEL): Handler(outcome.recalled, acts_on=_sender),
}
