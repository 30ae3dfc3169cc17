"""What is left of payments and their charges once the payer is erased. Pure but for the names of
statements."""

from msgspec.structs import replace

from bailiwick.base.objects import Object, text
from bailiwick.resources.payments import render
from bailiwick.resources.payments.rows import Payment, Progress
from bailiwick.resources.payments.shown.card import OPTIONS
from bailiwick.resources.payments.states import State
from bailiwick.resources.payments.stored import content_of, payment_of
from bailiwick.serving.erasing import Erasing, Stays, error_left, nulled, place_left

_NOBODY = {
    "address": dict.fromkeys(("city", "country", "line1", "line2", "postal_code", "state")),
    **dict.fromkeys(("email", "name", "phone", "tax_id")),
}


def _options_left(held: Object) -> Object:
    """Whether there could be options stays, and none of them."""
    return {"card": OPTIONS} if "card" in held else {}


STAYS = {
    "payment_intent": Stays(
        whole=frozenset(
            {
                "allowed_payment_method_types",
                "amount",
                "amount_capturable",
                "amount_details",
                "amount_received",
                "assignment",
                "automatic_payment_methods",
                "canceled_at",
                "cancellation_reason",
                "capture_method",
                "client_secret",
                "confirmation_method",
                "created",
                "currency",
                "customer",
                "id",
                "latest_charge",
                "livemode",
                "node",
                "object",
                "payment_method_types",
                "routing",
                "setup_future_usage",
                "status",
            }
        ),
        parts={
            "last_payment_error": error_left,
            "location": place_left,
            "payment_method_options": _options_left,
        },
        blank={"metadata": {}},
    ),
    "charge": Stays(
        whole=frozenset(
            {
                "amount",
                "amount_captured",
                "amount_refunded",
                "balance_transaction",
                "captured",
                "created",
                "currency",
                "customer",
                "disputed",
                "failure_code",
                "fraud_details",
                "gateway",
                "id",
                "livemode",
                "object",
                "paid",
                "payment_intent",
                "provider_reference",
                "refunded",
                "status",
            }
        ),
        parts={
            "outcome": nulled("network_decline_code", "network_status", "reason", "type"),
            "payment_method_details": nulled("type"),
        },
        blank={"billing_details": _NOBODY, "metadata": {}},
    ),
}


def left(payment: Payment) -> Payment:
    """A payment without what is personal: all that money is reckoned by stays."""
    progress, details = payment.progress, payment.details
    return replace(
        payment,
        details=replace(details, location=place_left(details.location)),
        progress=Progress(
            method=progress.method,
            setup_future_usage=progress.setup_future_usage,
            customer=progress.customer,
            routing=progress.routing,
            last_error=None if progress.last_error is None else error_left(progress.last_error),
            canceled_ms=progress.canceled_ms,
            cancellation_reason=progress.cancellation_reason,
            confirmed_elsewhere=progress.confirmed_elsewhere,
            wishes=progress.wishes,
            hold=progress.hold,
            no_action=progress.no_action,
            forgoing=progress.forgoing,
            reversing=progress.reversing,
            disputes=progress.disputes,
        ),
    )


def content_left(content: str) -> str:
    """What an event says describes the payment, the same."""
    return text(left(content_of(content)))


ERASING = Erasing(
    prefix="pi",
    attempts=("ch", "at"),
    event="bailiwick.payment_intent.erased",
    ended=frozenset({State.REQUIRES_PAYMENT_METHOD, State.SUCCEEDED, State.CANCELED}),
    lock="payment_erase_lock",
    find="payment_find",
    write="payment_erase",
    paid_by="payments_telling",
    order_of=payment_of,
    left=left,
    content_left=content_left,
    shown=render.payment_intent,
)
