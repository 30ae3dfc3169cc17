"""What a customer looks like to clients: https://docs.stripe.com/api/customers/object. Pure."""

from typing import Literal

from msgspec import UNSET, UnsetType

from bailiwick.serving.shapes import (
    Address,
    Count,
    Deleted,
    Expanded,
    KeptPlace,
    Metadata,
    Open,
    Second,
    Shape,
)


class CustomerShipping(Shape):
    """Where the customer's goods go."""

    address: Address | None
    name: str | None
    phone: str | None


class InvoiceSettings(Shape):
    """The default payment method."""

    custom_fields: None
    default_payment_method: str | Expanded | None
    footer: None
    rendering_options: None


class Customer(Shape):
    """A merchant's payer; ``location`` and ``node`` are ours."""

    id: str
    object: Literal["customer"]
    address: Address | None
    balance: int
    business_name: str | None
    cash_balance: None
    created: Second
    currency: None
    customer_account: None
    default_source: None
    delinquent: bool
    description: str | None
    discount: None
    email: str | None
    individual_name: str | None
    invoice_credit_balance: Open
    invoice_prefix: None
    invoice_settings: InvoiceSettings
    livemode: bool
    metadata: Metadata
    name: str | None
    next_invoice_sequence: Count
    phone: str | None
    preferred_locales: list[str]
    shipping: CustomerShipping | None
    tax_exempt: Literal["none", "exempt", "reverse"]
    test_clock: str | None
    location: KeptPlace | None
    node: str | None
    deleted: bool | UnsetType = UNSET


SHAPE = Customer
GONE = Deleted
"""What is retrieved of one that was deleted."""
