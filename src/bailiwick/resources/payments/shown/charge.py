"""Charges as API objects, of the payments that they are of. Pure; see
https://docs.stripe.com/api/charges/object."""

from typing import Any

import msgspec
from msgspec import UNSET

from bailiwick.base.ids import time_of
from bailiwick.base.objects import Object
from bailiwick.orders.attempts import Attempt
from bailiwick.resources.payments import states
from bailiwick.resources.payments.rows import ChargeNotes, Payment
from bailiwick.resources.payments.shown.card import CARD
from bailiwick.resources.payments.shown.parts import address, shipping
from bailiwick.routing.building import BLOCKED


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
        failure = {key: said.get(key) for key in ("code", "decline_code", "message", "detail")}
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
        "outcome": _outcome(payment, view, failed=failed) if failed or holds or late else None,
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
        "shipping": shipping(noted(payment, view.id, "shipping")),
        "statement_descriptor": payment.progress.statement_descriptor,
        "statement_descriptor_suffix": payment.progress.statement_descriptor_suffix,
        "status": "succeeded" if holds or late else "failed" if failed else "pending",
        "gateway": view.gateway,
        "provider_reference": view.provider_ref,
    }


def _method_details(payment: Payment, view: ChargeView) -> Object:
    """How it was paid: the card's fields are there, as far as a token tells them."""
    method = payment.progress.method
    hold = _hold(payment, view)
    if method == "card":
        return {"type": method, "card": {**CARD, **hold}}
    return {"type": method, method: hold} if hold else {"type": method}


def _hold(payment: Payment, view: ChargeView) -> Object:
    """What may be done with a hold, and until when; empty: there is none."""
    hold = payment.progress.hold
    if hold is None or payment.charge_attempt != view.id:
        return {}
    authorized = payment.amount_capturable + payment.amount_received
    before = payment.capture_before_ms
    return {
        "amount_authorized": authorized or payment.amount,
        "capture_before": None if before is None else before // 1000,
        "incremental_authorization": {"status": _able(hold.growing)},
        "multicapture": {"status": _able(hold.several)},
        "overcapture": {
            "maximum_amount_capturable": authorized + authorized * hold.over_percent // 100,
            "status": _able(hold.over_percent > 0),
        },
    }


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


def _outcome(payment: Payment, view: ChargeView, *, failed: bool) -> Object:
    """How a charge ended: https://docs.stripe.com/api/charges/object, ``outcome``; with the risk
    where it was assessed."""
    ended = _ended(view, failed=failed)
    screened = payment.progress.screened
    if screened is not None and payment.charge_attempt == view.id:
        ended["risk_level"] = screened.level
        if screened.score is not None:
            ended["risk_score"] = screened.score
    return ended


def _ended(view: ChargeView, *, failed: bool) -> Object:
    failure = view.failure or {}
    detail = failure.get("detail") or ""
    if detail.startswith(BLOCKED):
        return _blocked(detail.removeprefix(BLOCKED))
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


def _blocked(rule: str) -> Object:
    """A charge that was never sent, by a rule of the merchant's: ``list:NAME``, ``velocity:NAME``,
    or ``scorer:WHY``."""
    by, _, name = rule.partition(":")
    told = "The scorer" if by == "scorer" else f"The merchant's {_RULES[by]} '{name}'"
    return {
        "advice_code": None,
        "network_advice_code": None,
        "network_decline_code": None,
        "network_status": "not_sent_to_network",
        "reason": "highest_risk_level" if by == "scorer" else "rule",
        "rule": name,
        "seller_message": f"{told} has refused this charge; it was not sent.",
        "type": "blocked",
    }


_RULES = {"list": "list", "velocity": "limit"}


def _billing(payment: Payment, view: ChargeView) -> Object:
    """Who pays by a charge: what the client said is known of the latest alone."""
    latest = payment.charge_attempt == view.id
    given: Object = (payment.progress.billing or {}) if latest else {}
    return {
        "address": address(given.get("address")),
        "email": given.get("email"),
        "name": given.get("name"),
        "phone": given.get("phone"),
        "tax_id": given.get("tax_id"),
    }
