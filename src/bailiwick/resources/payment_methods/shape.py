"""What a payment method looks like to clients: https://docs.stripe.com/api/payment_methods/object.
Pure."""

from typing import Literal

from bailiwick.resources.customers.shape import Customer
from bailiwick.serving.shapes import Billing, KeptPlace, Metadata, Open, Second, Shape


class Card(Shape):
    """What is known of a card by its token; ``vault`` is ours."""

    brand: str
    checks: Open
    country: str | None
    display_brand: str | None
    exp_month: int | None
    exp_year: int | None
    fingerprint: str | None
    funding: str
    generated_from: None
    last4: str | None
    networks: Open
    regulated_status: None
    three_d_secure_usage: None
    wallet: None
    vault: str | None


class PaymentMethod(Shape):
    """A payer's payment method, saved; ``location`` and ``node`` are ours."""

    id: str
    object: Literal["payment_method"]
    allow_redisplay: Literal["always", "limited", "unspecified"]
    billing_details: Billing
    card: Card
    created: Second
    customer: str | Customer | None
    customer_account: None
    livemode: bool
    metadata: Metadata
    radar_options: Open
    type: str
    location: KeptPlace | None
    node: str | None


SHAPE = PaymentMethod
