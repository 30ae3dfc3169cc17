"""What a payout looks like to clients: https://docs.stripe.com/api/payouts/object. Pure."""

from typing import Literal

from bailiwick.serving.shapes import Currency, Metadata, Minor, Open, Place, Second, Shape


class TraceId(Shape):
    """By what a bank finds a payout; none tells it here."""

    status: Literal["pending", "unsupported"]
    value: None


class Payout(Shape):
    """Money sent to the merchant; ``location``, ``node``, ``assignment`` and ``gateway`` are
    ours."""

    id: str
    object: Literal["payout"]
    amount: Minor
    application_fee: None
    application_fee_amount: None
    arrival_date: Second
    automatic: bool
    balance_transaction: str | None
    created: Second
    currency: Currency
    description: str | None
    destination: str
    failure_balance_transaction: str | None
    failure_code: str | None
    failure_message: str | None
    livemode: bool
    metadata: Metadata
    method: Literal["standard"]
    original_payout: None
    payout_method: None
    reconciliation_status: Literal["not_applicable"]
    reversed_by: None
    source_type: Literal["card"]
    statement_descriptor: str | None
    status: Literal["pending", "in_transit", "paid", "failed", "canceled"]
    trace_id: TraceId
    type: Literal["bank_account", "card", "wallet"]
    node: str | None
    location: Place
    assignment: Open
    gateway: str


SHAPE = Payout
