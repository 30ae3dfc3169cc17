"""What a refund looks like to clients: https://docs.stripe.com/api/refunds/object. Pure."""

from typing import Literal

from bailiwick.resources.payments.shape import Charge, PaymentIntent
from bailiwick.serving.shapes import Currency, Expanded, Metadata, Minor, Open, Second, Shape


class Refund(Shape):
    """Money that goes back."""

    id: str
    object: Literal["refund"]
    amount: Minor
    balance_transaction: str | Expanded | None
    charge: str | Charge | None
    created: Second
    currency: Currency
    customer: str | Expanded | None
    customer_account: None
    description: str | None
    destination_details: Open | None
    failure_balance_transaction: str | Expanded | None
    failure_reason: str | None
    instructions_email: None
    metadata: Metadata
    next_action: None
    payment_intent: str | PaymentIntent
    payment_method: str | Expanded | None
    pending_reason: str | None
    presentment_details: None
    reason: str | None
    receipt_number: None
    source_transfer_reversal: None
    status: Literal["pending", "requires_action", "succeeded", "failed", "canceled"]
    transfer_reversal: None


SHAPE = Refund
