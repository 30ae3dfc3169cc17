"""How much of a hold a capture takes, in how many parts, and when the hold runs out. Pure.

https://docs.stripe.com/payments/multicapture and https://docs.stripe.com/payments/overcapture.
"""

import msgspec

from bailiwick.base.errors import ApiError
from bailiwick.resources.payments.params import CapturePayment
from bailiwick.resources.payments.rows import Hold, Payment
from bailiwick.resources.payments.states import State

CAPTURES_MAX = 50
"""Of one payment, as the format has it."""
RELEASE = "amount_to_capture=0 and final_capture=true"


def most(payment: Payment) -> int:
    """The most that one final capture may take now, in minor units."""
    hold = payment.progress.hold
    percent = 0 if hold is None else hold.over_percent
    authorized = payment.amount_capturable + payment.amount_received
    return payment.amount_capturable + authorized * percent // 100


def amount_of(payment: Payment, request: CapturePayment) -> int:
    """How much a request captures, in minor units; 0: what is left is released.

    Raises:
        ApiError: 400, naming the parameter and the remedy.
    """
    held = payment.amount_capturable
    given = request.amount_to_capture
    amount = held if given is None else given
    if payment.state != State.REQUIRES_CAPTURE:
        return amount or 1  # the transition table says why not
    if amount == 0:
        return _released(payment, request)
    if not request.final_capture:
        _check_several(payment)
    largest = most(payment) if request.final_capture else held
    if amount > largest:
        raise ApiError.invalid(
            f"The amount to capture ({amount}) is greater than the capturable amount ({largest}).",
            param="amount_to_capture",
            code="amount_too_large",
        )
    return amount


def _released(payment: Payment, request: CapturePayment) -> int:
    if payment.amount_received == 0:
        raise ApiError.invalid(
            "Nothing of this PaymentIntent was captured: cancel it instead of capturing 0.",
            param="amount_to_capture",
            code="parameter_invalid_integer",
        )
    if not request.final_capture:
        raise ApiError.invalid(
            f"An amount of 0 releases what is left: send {RELEASE}.", param="final_capture"
        )
    return 0


def _check_several(payment: Payment) -> None:
    hold = payment.progress.hold
    if hold is None or not hold.several:
        raise ApiError.invalid(
            "This PaymentIntent can be captured once, and what is not captured is released: leave "
            "final_capture out. For several captures, create it with "
            "payment_method_options[card][request_multicapture]=if_available; whether the provider "
            "lets it is in its charge, payment_method_details[card][multicapture][status].",
            param="final_capture",
        )
    if hold.captures >= CAPTURES_MAX - 1:
        raise ApiError.invalid(
            f"A PaymentIntent has at most {CAPTURES_MAX} captures: make this the final one.",
            param="final_capture",
        )


def refuse_half_taken(payment: Payment) -> None:
    """Refuse to cancel what was taken in part. Raises ApiError (400)."""
    if payment.state == State.REQUIRES_CAPTURE and payment.amount_received > 0:
        raise ApiError.invalid(
            "Part of this PaymentIntent was captured, so it cannot be canceled: release the rest "
            f"by a capture with {RELEASE}, and refund what was captured.",
            code="payment_intent_unexpected_state",
        )


def counted(hold: Hold | None) -> Hold | None:
    """A hold after one more capture."""
    if hold is None:
        return None
    return msgspec.structs.replace(hold, captures=hold.captures + 1)
