"""What a dispute looks like to clients: https://docs.stripe.com/api/disputes/object. Pure."""

from typing import Literal

from bailiwick.resources.balance.shape import BalanceTransaction
from bailiwick.resources.payments.shape import Charge, PaymentIntent
from bailiwick.serving.shapes import Count, Currency, Metadata, Minor, Open, Second, Shape

Status = Literal[
    "warning_needs_response",
    "warning_under_review",
    "warning_closed",
    "needs_response",
    "under_review",
    "won",
    "lost",
]


class EvidenceDetails(Shape):
    """How it stands with the evidence."""

    due_by: Second | None
    enhanced_eligibility: Open
    has_evidence: bool
    past_due: bool
    submission_count: Count
    submission_method: Literal["manual", "not_submitted"]


class DisputedCard(Shape):
    """The card of the disputed charge."""

    brand: str
    case_type: Literal["chargeback", "inquiry"]
    network: None
    network_reason_code: None


class DisputedMethod(Shape):
    """How the disputed charge was paid."""

    type: Literal["card"]
    card: DisputedCard


class Dispute(Shape):
    """A payer's bank takes back what a charge took."""

    id: str
    object: Literal["dispute"]
    amount: Minor
    balance_transactions: list[BalanceTransaction]
    charge: str | Charge
    created: Second
    currency: Currency
    enhanced_eligibility_types: list[str]
    evidence: Open
    evidence_details: EvidenceDetails
    intended_submission_method: None
    is_charge_refundable: bool
    livemode: bool
    metadata: Metadata
    network_reason_code: None
    payment_intent: str | PaymentIntent
    payment_method_details: DisputedMethod
    reason: str
    status: Status


SHAPE = Dispute
