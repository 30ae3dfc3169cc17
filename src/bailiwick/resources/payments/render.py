"""Payments as API objects. Pure; shapes follow https://docs.stripe.com/api/payment_intents.

``location``, ``node``, ``assignment`` and ``routing`` are ours.
"""

import msgspec

from bailiwick.base.objects import Object, encode
from bailiwick.resources.payments import states
from bailiwick.resources.payments.rows import Payment
from bailiwick.resources.payments.shown.card import OPTIONS
from bailiwick.resources.payments.shown.parts import shipping
from bailiwick.serving.next_actions import next_action_of

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
    if progress.action is not None and status == "requires_action":
        next_action = next_action_of(progress.action, progress.method, progress.return_url)
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
        "payment_method_options": _method_options(payment),
        "payment_method_types": details.method_types,
        "payment_method_configuration_details": details.configuration
        and {"id": details.configuration, "parent": None},
        "payment_record": None,
        "presentment_details": None,
        "processing": None,
        "receipt_email": progress.receipt_email,
        "review": None,
        "setup_future_usage": progress.setup_future_usage,
        "shipping": shipping(progress.shipping),
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


def _method_options(payment: Payment) -> Object:
    """Of ``payment_method_options``, what its hold should be able to do, and whose the payment
    method is."""
    progress = payment.progress
    if "card" not in payment.details.method_types:
        return {}
    card: Object = {f"request_{name}": "if_available" for name in sorted(progress.wishes)}
    vault = progress.vaults.get(progress.payment_method or "")
    if vault is not None:
        card["vault"] = vault
    return {"card": {**OPTIONS, **card}}


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
