"""Refunds as API objects. Pure; see https://docs.stripe.com/api/refunds."""

from bailiwick.base.objects import Object
from bailiwick.resources.payments.rows import Payment
from bailiwick.resources.refunds.rows import Refund


def refund(row: Refund, payment: Payment, *, expanded: Object | None = None) -> Object:
    """A refund; ``expanded`` replaces ids by objects."""
    return {**refund_of(row, payment.charge_attempt), **(expanded or {})}


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
        "destination_details": None,
        "failure_reason": details.get("failure_reason"),
        "metadata": details.get("metadata", {}),
        "payment_intent": row.payment,
        "reason": details.get("reason"),
        "receipt_number": None,
        "source_transfer_reversal": None,
        "status": row.state,
        "transfer_reversal": None,
    }
