"""Setups as the machine of orders knows them: where they are kept, and how they answer."""

from typing import Any

import msgspec

from bailiwick.base.objects import encode
from bailiwick.channels.contract import Operation
from bailiwick.orders import attempt_store
from bailiwick.orders.attempts import Attempt
from bailiwick.orders.kinds import Handler
from bailiwick.orders.table import OrderTable
from bailiwick.orders.transition import Transition
from bailiwick.records.records import find_all
from bailiwick.resources.setup_intents import outcomes, render, stored
from bailiwick.resources.setup_intents.outcomes import Kept
from bailiwick.resources.setup_intents.rows import TABLE, Setup, SetupMove
from bailiwick.resources.setup_intents.states import State
from bailiwick.store.database import Store


class SetupKind:
    """The kind of orders that set up payment methods; see ``orders.kinds.Kind``."""

    table: OrderTable = TABLE
    prefix = "seti"
    object = "setup_intent"
    label = "SetupIntent"
    param = "intent"
    let_go = frozenset({State.CANCELING.value, State.CANCELED.value})

    async def find(self, store: Store, identifier: str) -> Setup | None:
        """A setup by id."""
        return await stored.find(store, identifier)

    def move_row(self, step: Transition[Setup], common: dict[str, Any]) -> SetupMove:
        """The row of a step."""
        after = step.after
        if after.progress != step.before.progress:
            common["content"] = bytes(encode(after)).decode()
        return SetupMove(
            setup_attempt=after.setup_attempt,
            customer=after.customer,
            payment_method=after.payment_method,
            **common,
        )

    def event_body(self, step: Transition[Setup]) -> msgspec.Raw:
        """The setup as it is afterwards."""
        return encode(render.setup_intent(step.after))

    def first_event_body(self, content: str) -> msgspec.Raw:
        """The setup as its first event tells of it."""
        return encode(render.setup_intent(stored.content_of(content)))

    async def answer(
        self, store: Store, step: Transition[Setup], expand: list[str], attempt: Attempt | None
    ) -> tuple[int, msgspec.Raw, bool]:
        """Status and body for the request that asked for a step. Nothing is expanded in it: see
        ``serving.expansion``."""
        intent = render.setup_intent(step.after)
        if step.error is None:
            return 200, encode(intent), True
        status = 402 if step.error["type"] == "card_error" else 400
        return status, encode(render.setup_error(step.error, intent)), False


async def as_it_is(store: Store, identifier: str) -> msgspec.Raw:
    """A setup as it is now."""
    setup = await stored.find(store, identifier)
    assert setup is not None, "a claimed key has its object"
    return encode(render.setup_intent(setup))


async def _kept(store: Store, setup: Setup, attempt: Attempt) -> Kept:
    """The records that a setup is about, as they are now."""
    wanted = {setup.payment_method, setup.progress.mandate} - {None}
    rows = await find_all(store, {str(each) for each in wanted})
    first = None
    if attempt.operation == Operation.VOID:
        first = await attempt_store.find(store, setup.setup_attempt or "")
    return Kept(rows.get(setup.payment_method or ""), rows.get(setup.progress.mandate or ""), first)


KIND = SetupKind()
OBJECTS = {KIND.prefix: as_it_is}
HANDLERS = {
    ("seti", Operation.SETUP): Handler(outcomes.set_up, acts_on=_kept),
    ("seti", Operation.VOID): Handler(outcomes.void, acts_on=_kept),
}
