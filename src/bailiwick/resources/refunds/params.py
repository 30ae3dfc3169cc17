"""What requests about refunds may carry: one struct per route, checked at the edge.

Names and meanings follow https://docs.stripe.com/api/refunds.
"""

from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from bailiwick.serving.params import Amount, Expand, ListQuery, Metadata, Text


class CreateRefund(msgspec.Struct, frozen=True):
    """POST /v1/refunds."""

    payment_intent: Text | None = None
    charge: Text | None = None
    amount: Amount | None = None
    reason: Literal["duplicate", "fraudulent", "requested_by_customer"] | None = None
    metadata: Metadata | None | UnsetType = UNSET
    expand: Expand = []


UNDONE_CREATE = {
    "currency": "it is the payment's",
    "customer": "no customer has a balance here: refund a payment_intent or a charge",
    "instructions_email": "the provider refunds what it was paid by, and writes to nobody",
    "origin": "no customer has a balance here: refund a payment_intent or a charge",
    "refund_application_fee": "there are no application fees here",
    "reverse_transfer": "there are no transfers here",
}


class CancelRefund(msgspec.Struct, frozen=True):
    """POST /v1/refunds/{id}/cancel."""

    expand: Expand = []


class UpdateRefund(msgspec.Struct, frozen=True):
    """POST /v1/refunds/{id}."""

    metadata: Metadata | None | UnsetType = UNSET
    expand: Expand = []


class ListRefunds(ListQuery, frozen=True):
    """GET /v1/refunds"""

    payment_intent: Text | None = None
    charge: Text | None = None
