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
        "customer": None,
        "customer_account": None,
        "description": None,
        "destination_details": None,
        "failure_balance_transaction": None,
        "failure_reason": details.get("failure_reason"),
        "instructions_email": None,
        "metadata": details.get("metadata", {}),
        "next_action": None,
        "payment_intent": row.payment,
        "payment_method": None,
        "pending_reason": None,
        "presentment_details": None,
        "reason": details.get("reason"),
        "receipt_number": None,
        "source_transfer_reversal": None,
        "status": row.state,
        "transfer_reversal": None,
    }
