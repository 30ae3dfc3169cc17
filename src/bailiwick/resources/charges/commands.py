"""What may be noted on a charge. It lies with its payment, so that an update is one guarded move of
it, with one event (``charge.updated``)."""

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from bailiwick.base.clock import now_ms
from bailiwick.base.errors import ApiError
from bailiwick.base.objects import Object
from bailiwick.base.tenancy import own
from bailiwick.idempotency.requests import Answer, IdempotentRequest
from bailiwick.orders import attempt_store
from bailiwick.orders.machine import Machine
from bailiwick.orders.transition import Part, Transition
from bailiwick.resources.balance import stored as balance
from bailiwick.resources.charges.params import UpdateCharge
from bailiwick.resources.payments.kind import KIND
from bailiwick.resources.payments.methods.params import plain
from bailiwick.resources.payments.outcomes import Step, moved
from bailiwick.resources.payments.rows import ChargeNotes, Payment
from bailiwick.resources.payments.shown.charge import ChargeView, charge, charge_view, noted
from bailiwick.resources.payments.states import Change
from bailiwick.serving.params import merged

_replace = msgspec.structs.replace
NOTED_MAX = 10
"""So many charges of one payment may have notes of their own: they are kept with the payment."""


class Charges:
    """What a client can ask about charges."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    async def update(
        self, asked: IdempotentRequest, identifier: str, request: UpdateCharge
    ) -> Answer:
        """Note something on a charge."""
        found = await attempt_store.find(self._machine.store, identifier)
        attempt = own(found, asked, "charge", identifier)
        if attempt.operation != "charge":
            raise ApiError.missing("charge", identifier)

        async def decide(payment: Payment) -> Step:
            fresh = await attempt_store.find(self._machine.store, identifier)
            assert fresh is not None, "attempts are kept for ever"
            moves = await balance.of(self._machine.store, [payment.id])
            first = next(iter(moves.get(identifier, ())), None)
            return updated(payment, charge_view(fresh), request, now_ms(), first)

        return await self._machine.command.change(asked, KIND, attempt.subject, decide)


def updated(
    payment: Payment,
    view: ChargeView,
    request: UpdateCharge,
    now_ms: int,
    transaction: str | None = None,
) -> Step:
    """The step of an update of a charge. ``transaction``: by which it moved the balance.

    Raises:
        ApiError: 400.
    """
    progress = payment.progress
    notes = {**progress.charges, view.id: _notes(payment, view.id, request)}
    if len(notes) > NOTED_MAX:
        raise ApiError.invalid(
            f"At most {NOTED_MAX} charges of a payment have a description, metadata, "
            "receipt_email or shipping of their own: update the PaymentIntent."
        )
    return Transition(
        before=payment,
        after=moved(payment, Change.EDIT, now_ms, progress=_replace(progress, charges=notes)),
        event="charge.updated",
        definite=True,
        part=_shown(view, transaction),
    )


def _notes(payment: Payment, identifier: str, request: UpdateCharge) -> ChargeNotes:
    changes: dict[str, Any] = {}
    for name in ("description", "receipt_email"):
        if getattr(request, name) is not UNSET:
            changes[name] = getattr(request, name)
    if not isinstance(request.shipping, UnsetType):
        changes["shipping"] = plain(request.shipping)
    if request.metadata is not UNSET:
        changes["metadata"] = merged(noted(payment, identifier, "metadata"), request.metadata)
    return _replace(payment.progress.charges.get(identifier, ChargeNotes()), **changes)


def _shown(view: ChargeView, transaction: str | None) -> Part:
    def shown(payment: Payment, expanded: Object) -> Object:
        wanted = {name: it for name, it in expanded.items() if name == "payment_intent"}
        return {**charge(payment, view), "balance_transaction": transaction, **wanted}

    return Part(view, shown)
