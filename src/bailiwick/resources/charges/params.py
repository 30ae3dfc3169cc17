"""What requests about charges may carry: one struct per route, checked at the edge.

Names and meanings follow https://docs.stripe.com/api/charges.
"""

from typing import ClassVar

import msgspec
from msgspec import UNSET, UnsetType

from bailiwick.resources.payments.params import Shipping
from bailiwick.serving.params import Expand, ListQuery, LongText, Metadata, Text


class UpdateCharge(msgspec.Struct, frozen=True):
    """POST /v1/charges/{id}; empty text unsets, an absent field stays."""

    description: LongText | None | UnsetType = UNSET
    metadata: Metadata | None | UnsetType = UNSET
    receipt_email: Text | None | UnsetType = UNSET
    shipping: Shipping | None | UnsetType = UNSET
    expand: Expand = []


UNDONE_UPDATE = {
    "customer": "it is its payment's: update the PaymentIntent",
    "fraud_details": "report it to the provider: nobody here would learn from it, and no provider "
    "is told",
    "transfer_group": "there are no transfers here: keep the group in metadata",
}


class ListCharges(ListQuery, frozen=True):
    """GET /v1/charges"""

    UNDONE: ClassVar = {"transfer_group": UNDONE_UPDATE["transfer_group"]}

    customer: Text | None = None
    payment_intent: Text | None = None
