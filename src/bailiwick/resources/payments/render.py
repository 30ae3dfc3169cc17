"""Payments and their charges as API objects. Pure; shapes follow
https://docs.stripe.com/api/payment_intents and https://docs.stripe.com/api/charges.

``location``, ``node``, ``assignment`` and ``routing`` are ours.
"""

from typing import Any

import msgspec
from msgspec import UNSET

from bailiwick.base.ids import time_of
from bailiwick.base.objects import Object, encode
from bailiwick.orders.attempts import Attempt
from bailiwick.resources.payments import states
from bailiwick.resources.payments.rows import ChargeNotes, Payment, Progress

# What a payer's browser sees with a publishable key; what stands in none of these is left out, at
# every depth: a new field is private until it is named here.
_PUBLIC_INTENT = frozenset(
    {
        "id",
        "object",
        "amount",
        "amount_details",
        "automatic_payment_methods",
        "canceled_at",
        "cancellation_reason",
        "capture_method",
        "client_secret",
        "confirmation_method",
        "created",
        "currency",
        "description",
        "last_payment_error",
        "livemode",
        "next_action",
        "payment_method",
        "payment_method_types",
        "processing",
        "receipt_email",
        "setup_future_usage",
        "shipping",
        "source",
        "status",
    }
)
REFERENCES = {
    "payment_intent": {
        "application": "application",
        "customer": "customer",
        "latest_charge": "charge",
        "on_behalf_of": "account",
        "payment_method": "payment_method",
        "payment_record": "payment_record",
        "review": "review",
    },
    "charge": {
        "application": "application",
        "application_fee": "application_fee",
        "balance_transaction": "balance_transaction",
        "customer": "customer",
        "failure_balance_transaction": "balance_transaction",
        "on_behalf_of": "account",
        "payment_intent": "payment_intent",
        "review": "review",
        "source_transfer": "transfer",
        "transfer": "transfer",
    },
}
"""What names another object and can be expanded, and of which kind that is; what is always null
here too, as it can be where it is null there."""
_PUBLIC_ERROR = frozenset(
    {"type", "code", "decline_code", "message", "param", "doc_url", "payment_intent"}
)


def payment_intent(
    payment: Payment, *, public: bool = False, charge: Object | None = None
) -> Object:
    """A payment as a ``payment_intent``.

    ``public`` leaves out what a payer's browser need not see; ``charge`` stands in for the
    charge's id where the client asked to expand it.
    """
    details = payment.details
    progress = payment.progress
    status = states.shown(payment.state)
    next_action = None
    if progress.action_url is not None and status == "requires_action":
        next_action = {
            "type": "redirect_to_url",
            "redirect_to_url": {"url": progress.action_url, "return_url": progress.return_url},
        }
    shown: Object = {
        "id": payment.id,
        "object": "payment_intent",
        "amount": payment.amount,
        "amount_capturable": payment.amount_capturable,
        "amount_details": {"tip": {}},
        "amount_received": payment.amount_received,
        "allowed_payment_method_types": details.method_types if details.types_allowed else None,
        "application": None,
        "application_fee_amount": None,
        "automatic_payment_methods": details.automatic_methods,
        "canceled_at": None if progress.canceled_ms is None else progress.canceled_ms // 1000,
        "cancellation_reason": progress.cancellation_reason,
        "capture_method": details.capture_method,
        "client_secret": details.client_secret,
        "confirmation_method": details.confirmation_method,
        "created": payment.created_ms // 1000,
        "currency": payment.currency.lower(),
        "customer": progress.customer,
        "customer_account": None,
        "description": progress.description,
        "excluded_payment_method_types": None,
        "hooks": None,
        "last_payment_error": progress.last_error,
        "latest_charge": charge or payment.charge_attempt,
        "livemode": payment.livemode,
        "managed_payments": None,
        "metadata": progress.metadata,
        "next_action": next_action,
        "on_behalf_of": None,
        "payment_details": None,
        "payment_method": progress.payment_method,
        "payment_method_options": _method_options(progress),
        "payment_method_types": details.method_types,
        "payment_method_configuration_details": details.configuration
        and {"id": details.configuration, "parent": None},
        "payment_record": None,
        "presentment_details": None,
        "processing": None,
        "receipt_email": progress.receipt_email,
        "review": None,
        "setup_future_usage": progress.setup_future_usage,
        "shipping": _shipping(progress.shipping),
        "source": None,
        "statement_descriptor": progress.statement_descriptor,
        "statement_descriptor_suffix": progress.statement_descriptor_suffix,
        "status": status,
        "transfer_data": None,
        "transfer_group": None,
        "node": details.assignment.get("name"),
        "location": details.location,
        "assignment": details.assignment,
        "routing": progress.routing,
    }
    return _public_intent(shown) if public else shown


def _public_intent(intent: Object) -> Object:
    shown = _only(intent, _PUBLIC_INTENT)
    if shown.get("last_payment_error"):
        shown["last_payment_error"] = _only(shown["last_payment_error"], _PUBLIC_ERROR)
    return shown


def _only(held: Object, names: frozenset[str]) -> Object:
    return {name: value for name, value in held.items() if name in names}


def _method_options(progress: Progress) -> Object:
    """Of ``payment_method_options``, what its hold should be able to do, and whose the payment
    method is."""
    card = {f"request_{name}": "if_available" for name in sorted(progress.wishes)}
    vault = progress.vaults.get(progress.payment_method or "")
    if vault is not None:
        card["vault"] = vault
    return {"card": card} if card else {}


def public(body: bytes) -> bytes:
    """A stored answer about a payment as a payer's browser may see it."""
    answer: Object = msgspec.json.decode(body)
    error = answer.get("error")
    if error is None:
        return bytes(encode(_public_intent(answer)))
    error = _only(error, _PUBLIC_ERROR)
    if "payment_intent" in error:
        error["payment_intent"] = _public_intent(error["payment_intent"])
    return bytes(encode({"error": error}))


def created(payment: Payment) -> Object:
    """A payment as its first event tells of it: how it was placed is told by what follows."""
    shown = payment_intent(payment)
    del shown["assignment"], shown["routing"]
    return shown


def card_error(error: Object, intent: Object) -> Object:
    """The 402 answer for a declined payment; the intent rides along."""
    shown = {key: value for key, value in error.items() if value is not None}
    return {"error": {**shown, "payment_intent": intent}}


class ChargeView(msgspec.Struct, frozen=True):
    """What a charge object shows of an attempt: its end, not how it was reached."""

    id: str
    state: str
    amount: int
    gateway: str
    provider_ref: str | None = None
    failure: Object | None = None


def charge_view(attempt: Attempt) -> ChargeView:
    """The charge of a stored attempt."""
    return charge_seen(
        attempt.id,
        attempt.state,
        attempt.amount,
        attempt.gateway,
        attempt.provider_ref,
        attempt.result,
    )


def charge_seen(
    identifier: str,
    state: str,
    amount: int,
    gateway: str,
    provider_ref: str | None,
    result: str | msgspec.Raw | None,
) -> ChargeView:
    """The charge of an attempt's columns; ``result``: what the provider said, as JSON."""
    failure = None
    if state == "declined":
        said = {} if result is None else msgspec.json.decode(result)
        failure = {key: said.get(key) for key in ("code", "decline_code", "message")}
    return ChargeView(identifier, state, amount, gateway, provider_ref, failure)


def noted(payment: Payment, charge: str, name: str) -> Any:
    """A field that a client may note on a charge: its own, else its payment's."""
    own = getattr(payment.progress.charges.get(charge, _NO_NOTES), name)
    return getattr(payment.progress, name) if own is UNSET else own


_NO_NOTES = ChargeNotes()


def charge(payment: Payment, view: ChargeView) -> Object:
    """An attempt to charge as a ``charge``."""
    late = view.state == "late"  # taken after a definite no: real money, booked apart
    holds = payment.charge_attempt == view.id and view.state == "approved"
    failed = view.state in ("declined", "unsent")
    failure = view.failure or {}
    return {
        "id": view.id,
        "object": "charge",
        **_NO_CHARGE_FIELDS,
        "amount": payment.amount if holds and _grown(payment) else view.amount,
        "amount_captured": payment.amount_received if holds else view.amount if late else 0,
        "amount_refunded": payment.amount_refunded + payment.amount_refunding if holds else 0,
        "billing_details": _billing(payment, view),
        "captured": late or (holds and payment.state == states.State.SUCCEEDED),
        "created": time_of(view.id) // 1000,
        "currency": payment.currency.lower(),
        "customer": payment.progress.customer,
        "description": noted(payment, view.id, "description"),
        "disputed": any(each.charge == view.id for each in payment.progress.disputes.values()),
        "failure_code": failure.get("code"),
        "failure_message": failure.get("message"),
        "fraud_details": {},
        "livemode": payment.livemode,
        "metadata": noted(payment, view.id, "metadata"),
        "outcome": _outcome(view, failed=failed) if failed or holds or late else None,
        "paid": holds or late,
        "payment_intent": payment.id,
        "payment_method": payment.progress.payment_method,
        "payment_method_details": _method_details(payment, view),
        "receipt_email": noted(payment, view.id, "receipt_email"),
        "refunded": (
            holds
            and payment.state == states.State.SUCCEEDED
            and 0 < payment.amount_received == payment.amount_refunded
        ),
        "shipping": _shipping(noted(payment, view.id, "shipping")),
        "statement_descriptor": payment.progress.statement_descriptor,
        "statement_descriptor_suffix": payment.progress.statement_descriptor_suffix,
        "status": "succeeded" if holds or late else "failed" if failed else "pending",
        "gateway": view.gateway,
        "provider_reference": view.provider_ref,
    }


def _method_details(payment: Payment, view: ChargeView) -> Object:
    """How it was paid; of a hold, what may be done with it, and until when."""
    progress = payment.progress
    details: Object = {"type": progress.method}
    hold = progress.hold
    if hold is None or payment.charge_attempt != view.id:
        return details
    authorized = payment.amount_capturable + payment.amount_received
    over = hold.over_percent > 0
    before = payment.capture_before_ms
    details[progress.method] = {
        "amount_authorized": authorized or payment.amount,
        "capture_before": None if before is None else before // 1000,
        "incremental_authorization": {"status": _able(hold.growing)},
        "multicapture": {"status": _able(hold.several)},
        "overcapture": {
            "maximum_amount_capturable": authorized + authorized * hold.over_percent // 100,
            "status": _able(over),
        },
    }
    return details


def _grown(payment: Payment) -> bool:
    hold = payment.progress.hold
    return hold is not None and hold.increments > 0


def _able(possible: bool) -> str:
    return "available" if possible else "unavailable"


_NO_CHARGE_FIELDS = dict.fromkeys(
    (
        "application",
        "application_fee",
        "application_fee_amount",
        "authorization_code",
        "balance_transaction",
        "calculated_statement_descriptor",
        "failure_balance_transaction",
        "level3",
        "on_behalf_of",
        "presentment_details",
        "radar_options",
        "receipt_number",
        "receipt_url",
        "refunds",
        "review",
        "source",
        "source_transfer",
        "transfer",
        "transfer_data",
        "transfer_group",
    )
)
"""What Stripe's charges have and ours know nothing of."""


def _outcome(view: ChargeView, *, failed: bool) -> Object:
    """How a charge ended: https://docs.stripe.com/api/charges/object, ``outcome``."""
    failure = view.failure or {}
    nowhere = failure.get("code") == "resource_missing"  # no card, so no network of one
    unsent = nowhere or view.state == "unsent"
    sent = "not_sent_to_network" if unsent else "declined_by_network"
    return {
        "advice_code": None,
        "network_advice_code": None,
        "network_decline_code": None,
        "network_status": sent if failed else "approved_by_network",
        "reason": failure.get("decline_code") or failure.get("code"),
        "seller_message": failure.get("message") if failed else "Payment complete.",
        "type": "invalid" if nowhere else "issuer_declined" if failed else "authorized",
    }


def _shipping(given: Object | None) -> Object | None:
    if given is None:
        return None
    return {
        "address": _address(given.get("address")),
        "carrier": given.get("carrier"),
        "name": given.get("name"),
        "phone": given.get("phone"),
        "tracking_number": given.get("tracking_number"),
    }


def _address(given: Object | None) -> Object | None:
    return None if given is None else {name: given.get(name) for name in _ADDRESS}


def _billing(payment: Payment, view: ChargeView) -> Object:
    """Who pays by a charge: what the client said is known of the latest alone."""
    latest = payment.charge_attempt == view.id
    given: Object = (payment.progress.billing or {}) if latest else {}
    return {
        "address": _address(given.get("address")),
        "email": given.get("email"),
        "name": given.get("name"),
        "phone": given.get("phone"),
        "tax_id": given.get("tax_id"),
    }


_ADDRESS = ("city", "country", "line1", "line2", "postal_code", "state")
