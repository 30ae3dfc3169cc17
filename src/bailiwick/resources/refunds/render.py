"""Refunds as API objects. Pure; see https://docs.stripe.com/api/refunds."""

from bailiwick.base.objects import Object
from bailiwick.resources.payments.rows import Payment
from bailiwick.resources.refunds.rows import Refund


def refund(row: Refund, payment: Payment, *, expanded: Object | None = None) -> Object:
    """A refund; ``expanded`` replaces ids by objects."""
    return {**refund_of(row, payment.charge_attempt), **(expanded or {})}


REFERENCES = {
    "refund": {
        "balance_transaction": "balance_transaction",
        "charge": "charge",
        "customer": "customer",
        "failure_balance_transaction": "balance_transaction",
        "payment_intent": "payment_intent",
        "payment_method": "payment_method",
        "source_transfer_reversal": "transfer_reversal",
        "transfer_reversal": "transfer_reversal",
    }
}
FAILURES = frozenset(
    {
        "charge_for_pending_refund_disputed",
        "declined",
        "expired_or_canceled_card",
        "insufficient_funds",
        "lost_or_stolen_card",
        "merchant_request",
    }
)
"""Why a refund has failed, in the format's words; for every other reason it says ``unknown``."""


def failure_reason(code: str | None) -> str:
    """A provider's reason in the format's words."""
    if code == "card_declined":
        return "declined"
    return code if code in FAILURES else "unknown"


def _destination(row: Refund) -> Object | None:
    """Where the money goes: back to what it was paid by. No reference of it is known."""
    method = row.details.get("method")
    if method is None:
        return None  # made before it was kept
    pending = row.state == "pending"
    inner = {"type": "pending" if pending else "refund"} if method == "card" else {}
    return {"type": method, method: inner}


def refund_of(row: Refund, charge: str | None) -> Object:
    """A refund of a charge."""
    details = row.details
    return {
        "id": row.id,
        "object": "refund",
        "amount": row.amount,
        "balance_transaction": None,
        "charge": charge,
        "created": row.created_ms // 1000,
        "currency": row.currency.lower(),
        "customer": details.get("customer"),
        "customer_account": None,
        "description": None,
        "destination_details": _destination(row),
        "failure_balance_transaction": None,
        "failure_reason": details.get("failure_reason"),
        "instructions_email": None,
        "metadata": details.get("metadata", {}),
        "next_action": None,
        "payment_intent": row.payment,
        "payment_method": details.get("payment_method"),
        "pending_reason": "processing" if row.state == "pending" else None,
        "presentment_details": None,
        "reason": details.get("reason"),
        "receipt_number": None,
        "source_transfer_reversal": None,
        "status": row.state,
        "transfer_reversal": None,
    }
