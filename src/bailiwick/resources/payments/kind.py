"""Payments as the machine of orders knows them: where they are kept, and how they answer."""

from typing import Any

import msgspec

from bailiwick.base.objects import Object, encode
from bailiwick.channels.contract import Operation
from bailiwick.orders import attempt_store, attempts
from bailiwick.orders.attempts import Attempt
from bailiwick.orders.kinds import Handler, alone
from bailiwick.orders.table import OrderTable
from bailiwick.orders.transition import Transition
from bailiwick.resources.payments import outcomes, render, stored
from bailiwick.resources.payments.cascade import onward
from bailiwick.resources.payments.holds import increments, voids
from bailiwick.resources.payments.methods import giving_up
from bailiwick.resources.payments.methods.back import back
from bailiwick.resources.payments.rows import TABLE, Payment, PaymentMove
from bailiwick.resources.payments.shown.charge import charge, charge_view
from bailiwick.resources.payments.states import State
from bailiwick.store.database import Store


class PaymentKind:
    """The kind of orders that take a payer's money once; see ``orders.kinds.Kind``."""

    table: OrderTable = TABLE
    prefix = "pi"
    object = "payment_intent"
    label = "PaymentIntent"
    param = "intent"
    let_go = frozenset({State.VOIDING.value, State.CANCELED.value})

    async def find(self, store: Store, identifier: str) -> Payment | None:
        """A payment by id."""
        return await stored.find(store, identifier)

    def move_row(self, step: Transition[Payment], common: dict[str, Any]) -> PaymentMove:
        """The row of a step."""
        after = step.after
        if after.progress != step.before.progress:
            common["content"] = bytes(encode(after)).decode()
        return PaymentMove(
            amount=after.amount,
            amount_capturable=after.amount_capturable,
            amount_received=after.amount_received,
            amount_refunding=after.amount_refunding,
            amount_refunded=after.amount_refunded,
            charge_attempt=after.charge_attempt,
            capture_before_ms=after.capture_before_ms,
            customer=after.progress.customer,
            **common,
        )

    def event_body(self, step: Transition[Payment]) -> msgspec.Raw:
        """The payment, or what beside it the step is about, as it is afterwards."""
        if step.part is not None:
            return encode(step.part.shown(step.after, {}))
        return encode(render.payment_intent(step.after))

    def first_event_body(self, content: str) -> msgspec.Raw:
        """The payment as its first event tells of it."""
        return encode(render.created(stored.content_of(content)))

    async def answer(
        self, store: Store, step: Transition[Payment], expand: list[str], attempt: Attempt | None
    ) -> tuple[int, msgspec.Raw, bool]:
        """Status and body for the request that asked for a step; plain: the object as it is."""
        after = step.after
        shown = await _charge(store, step, attempt) if expand else None
        intent = render.payment_intent(after, charge=shown if "latest_charge" in expand else None)
        if step.error is not None:
            status = 402 if step.error["type"] == "card_error" else 400
            return status, encode(render.card_error(step.error, intent)), False
        if step.part is None:
            return 200, encode(intent), not expand
        expanded: Object = {}
        if "payment_intent" in expand:
            expanded["payment_intent"] = intent
        if "charge" in expand and shown is not None:
            expanded["charge"] = shown
        return 200, encode(step.part.shown(after, expanded)), not expand


async def _charge(
    store: Store, step: Transition[Payment], attempt: Attempt | None
) -> Object | None:
    """The charge as it will be once the step is written."""
    charged = step.after.charge_attempt
    if charged is None:
        return None
    same = attempt is not None and charged == attempt.id
    row = attempt if same else await attempt_store.find(store, charged)
    assert row is not None, "a payment names only attempts of its own"
    for end in step.attempt_ends or []:
        if end.id == row.id:
            row = attempts.ended(row, end)
    return charge(step.after, charge_view(row))


async def as_it_is(store: Store, identifier: str) -> msgspec.Raw:
    """A payment as it is now."""
    payment = await stored.find(store, identifier)
    assert payment is not None, "a claimed key has its object"
    return encode(render.payment_intent(payment))


KIND = PaymentKind()
OBJECTS = {KIND.prefix: as_it_is}


async def _charged(store: Store, payment: Payment, attempt: Attempt) -> Attempt:
    charged = await attempt_store.find(store, payment.charge_attempt or "")
    assert charged is not None, "a void follows a charge"
    return charged


HANDLERS = {
    ("pi", Operation.CHARGE): Handler(
        alone(outcomes.charge),
        onward=onward,
        charges=True,
        gives_up=giving_up.decide,
        steps=outcomes.go_on,
        back=back,
    ),
    ("pi", Operation.INCREMENT): Handler(alone(increments.increment), charges=True),
    ("pi", Operation.CAPTURE): Handler(alone(outcomes.capture), charges=True),
    ("pi", Operation.VOID): Handler(voids.void, acts_on=_charged),
}
