"""What requests about charges may carry: one struct per route, checked at the edge.

Names and meanings follow https://docs.stripe.com/api/charges.
"""

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from bailiwick.base.errors import ApiError
from bailiwick.resources.payments.params import Shipping
from bailiwick.serving.params import Expand, ListQuery, LongText, Metadata, Text

_Small = Annotated[dict[str, Text], Meta(max_length=10)]


class UpdateCharge(msgspec.Struct, frozen=True):
    """POST /v1/charges/{id}; empty text unsets, an absent field stays."""

    description: LongText | None | UnsetType = UNSET
    metadata: Metadata | None | UnsetType = UNSET
    receipt_email: Text | None | UnsetType = UNSET
    shipping: Shipping | None | UnsetType = UNSET
    customer: Text | UnsetType = UNSET
    fraud_details: _Small | UnsetType = UNSET
    transfer_group: Text | UnsetType = UNSET
    expand: Expand = []


_REFUSED = {
    "customer": "The customer of a charge is its payment's: update the PaymentIntent.",
    "fraud_details": "Nothing is learnt here from what you report about fraud, and no provider is "
    "told: report it to the provider.",
    "transfer_group": "There are no transfers here. Keep the group in metadata.",
}


def refuse_unsupported(request: UpdateCharge) -> None:
    """Refuse what would be taken for done although it is not. Raises ApiError (400)."""
    for name, why in _REFUSED.items():
        if getattr(request, name) is not UNSET:
            raise ApiError.invalid(why, param=name)


class ListCharges(ListQuery, frozen=True):
    """GET /v1/charges"""

    customer: Text | None = None
    payment_intent: Text | None = None
