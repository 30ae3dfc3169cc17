"""What may be done with refunds: give money back, and note something on it."""

import msgspec

from bailiwick.base.clock import now_ms
from bailiwick.base.errors import ApiError
from bailiwick.base.ids import is_id, new_id
from bailiwick.base.money import check_multiple
from bailiwick.base.tenancy import own
from bailiwick.channels.contract import Operation
from bailiwick.idempotency.requests import Answer, IdempotentRequest
from bailiwick.orders import attempt_store
from bailiwick.orders.machine import Machine
from bailiwick.orders.transition import Transition
from bailiwick.resources.payments.commands import follow_up
from bailiwick.resources.payments.kind import KIND
from bailiwick.resources.payments.outcomes import Step, moved
from bailiwick.resources.payments.rows import Payment
from bailiwick.resources.payments.states import Change
from bailiwick.resources.refunds import stored
from bailiwick.resources.refunds.outcome import ending, shown
from bailiwick.resources.refunds.params import CreateRefund, UpdateRefund
from bailiwick.resources.refunds.rows import Refund, RefundNew
from bailiwick.serving.params import merged

_replace = msgspec.structs.replace


class Refunds:
    """What a client can ask about refunds."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._store = machine.store

    async def create(self, asked: IdempotentRequest, request: CreateRefund) -> Answer:
        """Give money back, all or part of it."""
        identifier = await self._refunded_payment(asked, request)

        async def decide(payment: Payment) -> Step:
            now = now_ms()
            metadata = merged({}, request.metadata)
            free = payment.amount_received - payment.amount_refunded - payment.amount_refunding
            amount = request.amount or free
            check(payment, amount, free)
            refund_id = new_id("re", self._machine.node, now)
            after = moved(
                payment,
                Change.REFUND,
                now,
                amount_refunding=payment.amount_refunding + amount,
            )
            step = await follow_up(
                self._machine, asked.key, payment, after, Operation.REFUND, amount, refund_id
            )
            assert step.attempt_new is not None
            attempt = step.attempt_new.id
            details = {"reason": request.reason, "metadata": metadata, **_of(payment)}
            row = Refund(
                refund_id,
                payment.id,
                payment.merchant,
                payment.livemode,
                "pending",
                amount,
                payment.currency,
                attempt,
                now,
                details,
            )
            new = RefundNew(refund_id, row.state, amount, attempt, details)
            return _replace(
                step, part=shown(row), beside={"refund_new": new}, event="refund.created"
            )

        return await self._machine.command.change(asked, KIND, identifier, decide)

    async def _refunded_payment(self, asked: IdempotentRequest, request: CreateRefund) -> str:
        if request.charge is None:
            if request.payment_intent is None:
                raise ApiError.invalid(
                    "One of payment_intent or charge is needed.",
                    param="payment_intent",
                    code="parameter_missing",
                )
            return request.payment_intent
        known = is_id(request.charge, "ch")
        found = await attempt_store.find(self._store, request.charge) if known else None
        attempt = own(found, asked, "charge", request.charge, param="charge")
        if request.payment_intent not in (None, attempt.subject):
            raise ApiError.invalid(
                "payment_intent and charge do not belong together.", param="charge"
            )
        return attempt.subject

    async def update(
        self, asked: IdempotentRequest, identifier: str, request: UpdateRefund
    ) -> Answer:
        """Change a refund's metadata."""
        row = own(await stored.find(self._store, identifier), asked, "refund", identifier)

        async def decide(payment: Payment) -> Step:
            fresh = await stored.find(self._store, identifier)
            assert fresh is not None
            return updated(payment, fresh, request, now_ms())

        return await self._machine.command.change(asked, KIND, row.payment, decide)

    async def cancel(self, asked: IdempotentRequest, identifier: str) -> Answer:
        """Refuse: only what waits for the payer can be canceled, and no channel has such refunds
        (https://docs.stripe.com/api/refunds/cancel)."""
        row = own(await stored.find(self._store, identifier), asked, "refund", identifier)
        raise ApiError.invalid(
            f"You cannot cancel this Refund because it has a status of {row.state}: only one that "
            "requires_action can be canceled. To get the money again, charge the payer again."
        )


def _of(payment: Payment) -> dict[str, str]:
    """Of a payment what its refund shows: it has it still when the payment's has changed."""
    progress = payment.progress
    found = {
        "customer": progress.customer,
        "payment_method": progress.payment_method,
        "method": progress.method,
    }
    return {name: value for name, value in found.items() if value is not None}


def check(payment: Payment, amount: int, free: int) -> None:
    """Refuse a refund of what was not taken, or is given back already."""
    if payment.amount_received == 0:
        raise ApiError.invalid(
            f"This PaymentIntent ({payment.id}) does not have a successful charge to refund.",
            param="payment_intent",
            code="charge_not_refundable",
        )
    if not all(each.refundable for each in payment.progress.disputes.values()):
        raise ApiError.invalid(
            f"Charge {payment.charge_attempt} has been charged back: its dispute decides about the "
            "money.",
            param="charge",
            code="charge_disputed",
        )
    if free <= 0:
        raise ApiError.invalid(
            f"Charge {payment.charge_attempt} has already been refunded.",
            param="charge",
            code="charge_already_refunded",
        )
    if amount > free:
        raise ApiError.invalid(
            f"Refund amount ({amount}) is greater than unrefunded amount on charge ({free}).",
            param="amount",
            code="amount_too_large",
        )
    check_multiple(amount, payment.currency, "amount")


def updated(payment: Payment, row: Refund, request: UpdateRefund, now_ms: int) -> Step:
    """The step of an update of a refund's metadata."""
    metadata = merged(row.details.get("metadata", {}), request.metadata)
    changed = _replace(row, details={**row.details, "metadata": metadata})
    return Transition(
        before=payment,
        after=moved(payment, Change.EDIT, now_ms),
        event="refund.updated",
        definite=True,
        part=shown(changed),
        beside=ending(changed),
    )
