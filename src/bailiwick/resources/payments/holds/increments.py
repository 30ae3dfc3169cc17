"""A hold made larger, and what the outcome of that does. Pure.

https://docs.stripe.com/payments/incremental-authorization and
https://docs.stripe.com/api/payment_intents/increment_authorization: what is asked for is the whole
amount, each is one more operation at the provider, and one that is declined changes nothing.
"""

from typing import Any

import msgspec
from msgspec import UNSET

from bailiwick.base.errors import ApiError
from bailiwick.base.money import check_multiple, payment_amount
from bailiwick.channels.contract import Outcome, Result
from bailiwick.orders.attempts import OPEN, Attempt
from bailiwick.orders.transition import Transition, closed, ended
from bailiwick.resources.payments.outcomes import (
    EXPIRED,
    Step,
    after_the_end,
    decline_of,
    let_go,
    moved,
    waiting,
)
from bailiwick.resources.payments.params import IncrementPayment
from bailiwick.resources.payments.rows import Payment
from bailiwick.resources.payments.states import Change
from bailiwick.serving.params import merged

_replace = msgspec.structs.replace
INCREMENTS_MAX = 10
"""Of one payment, those included that were declined, as the format has it."""


def begun(payment: Payment, request: IncrementPayment, now_ms: int) -> Payment:
    """The payment once an increment is permitted.

    Raises:
        ApiError: 400, naming the parameter and the remedy.
    """
    hold = payment.progress.hold
    after = moved(payment, Change.INCREMENT, now_ms)
    if hold is None or not hold.growing:
        raise ApiError.invalid(
            "This PaymentIntent does not support incremental authorization. Create it with "
            "payment_method_options[card][request_incremental_authorization]=if_available; "
            "whether the provider lets it is in its charge, "
            "payment_method_details[card][incremental_authorization][status].",
            code="payment_intent_unexpected_state",
        )
    if payment.amount_received > 0:
        raise ApiError.invalid(
            "A part of this PaymentIntent was captured: after that its authorization cannot be "
            "incremented. Create another for what is to come.",
            code="payment_intent_unexpected_state",
        )
    if hold.increments >= INCREMENTS_MAX:
        raise ApiError.invalid(
            f"A PaymentIntent has at most {INCREMENTS_MAX} incremental authorizations, declined "
            "ones included: capture it, and create another for what is to come.",
            code="payment_intent_unexpected_state",
        )
    _check_amount(payment, request.amount)
    progress = _replace(
        payment.progress,
        hold=_replace(hold, increments=hold.increments + 1),
        increment=_wish(payment, request),
    )
    return _replace(after, progress=progress)


def _check_amount(payment: Payment, amount: int) -> None:
    if amount <= payment.amount_capturable:
        raise ApiError.invalid(
            f"The amount ({amount}) must be greater than the currently authorized amount "
            f"({payment.amount_capturable}): it is the whole amount, not what is added.",
            param="amount",
            code="parameter_invalid_integer",
        )
    check_multiple(amount, payment.currency, "amount")
    payment_amount(amount, payment.currency, payment.details.method_types)


def _wish(payment: Payment, request: IncrementPayment) -> dict[str, Any] | None:
    """What a request changes besides, kept until the increment has succeeded."""
    changes = {
        name: getattr(request, name)
        for name in ("description", "statement_descriptor")
        if getattr(request, name) is not UNSET
    }
    if request.metadata is not UNSET:
        changes["metadata"] = merged(payment.progress.metadata, request.metadata)
    return changes or None


def increment(
    payment: Payment, attempt: Attempt, result: Result, now_ms: int, check_ms: int
) -> Step | None:
    """The outcome of an increment."""
    if attempt.state not in OPEN:
        return after_the_end(payment, attempt, result, now_ms)
    if payment.open_attempt != attempt.id:
        return None
    if result.outcome is Outcome.APPROVED:
        return _granted(payment, attempt, result, now_ms)
    if result.outcome is Outcome.DECLINED:
        return _declined(payment, attempt, result, now_ms)
    return waiting(payment, attempt, result, now_ms, check_ms)


def _granted(payment: Payment, attempt: Attempt, result: Result, now_ms: int) -> Step:
    assert result.amount is not None and result.amount > payment.amount_capturable
    progress = payment.progress
    after = moved(
        payment,
        Change.INCREMENTED,
        now_ms,
        amount=result.amount,
        amount_capturable=result.amount,
        open_attempt=None,
        progress=_replace(progress, increment=None, **(progress.increment or {})),
    )
    return Transition(
        before=payment,
        after=after,
        event="payment_intent.amount_capturable_updated",
        definite=True,
        attempt_ends=[ended(attempt, "approved", result)],
    )


def _declined(payment: Payment, attempt: Attempt, result: Result, now_ms: int) -> Step:
    """Nothing has changed, and what was held can be captured; unless it was held no more."""
    if result.code in EXPIRED:
        after, event = let_go(
            payment, Change.EXPIRE, now_ms, cancellation_reason="expired", increment=None
        )
    else:
        progress = _replace(payment.progress, increment=None)
        after = moved(payment, Change.REFUSED, now_ms, open_attempt=None, progress=progress)
        event = "bailiwick.increment_refused"
    error = decline_of(result, attempt, payment.progress.payment_method)
    error["charge"] = payment.charge_attempt
    return Transition(
        before=payment,
        after=after,
        event=event,
        definite=True,
        error=error,
        attempt_ends=[ended(attempt, closed(result), result)],
    )
