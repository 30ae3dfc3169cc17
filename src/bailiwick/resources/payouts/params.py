"""What requests about payouts may carry: one struct per route, checked at the edge.

Names and meanings follow https://docs.stripe.com/api/payouts; ``location`` is ours: where the bank
account or wallet is.
"""

from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from bailiwick.base.errors import ApiError
from bailiwick.jurisdiction.locate import Evidence
from bailiwick.serving.params import Amount, Expand, ListQuery, LongText, Metadata, Text

Destination = Annotated[
    str, Meta(pattern=r"^(btok|ba|card|tok|wallet)_[A-Za-z0-9_]+$", max_length=200)
]
"""A provider's token of a bank account, a debit card or a wallet."""
TYPES = {
    "ba": "bank_account",
    "btok": "bank_account",
    "card": "card",
    "tok": "card",
    "wallet": "wallet",
}
"""What a destination is, by the beginning of its token."""
UNDONE_CREATE = {
    "payout_method": "give the provider's token of the bank account or wallet as destination",
}


class CreatePayout(msgspec.Struct, frozen=True):
    """POST /v1/payouts."""

    amount: Amount
    currency: Text
    destination: Destination | None = None
    description: LongText | None = None
    metadata: Metadata | None | UnsetType = UNSET
    method: Literal["standard"] = "standard"
    source_type: Literal["card"] = "card"
    statement_descriptor: Annotated[str, Meta(max_length=22)] | None = None
    location: Evidence | None = None
    expand: Expand = []

    @property
    def confirm(self) -> bool:
        """Money may move at once, always."""
        return True

    @property
    def where_to(self) -> str:
        """The destination, which nobody has by default. Raises ApiError (400)."""
        if self.destination is None:
            raise ApiError.invalid(
                "You have no default destination of payouts: send destination, the provider's "
                "token of a bank account, a debit card or a wallet.",
                param="destination",
                code="no_account",
            )
        return self.destination


class UpdatePayout(msgspec.Struct, frozen=True):
    """POST /v1/payouts/{id}."""

    metadata: Metadata | None | UnsetType = UNSET
    expand: Expand = []


class CancelPayout(msgspec.Struct, frozen=True):
    """POST /v1/payouts/{id}/cancel."""

    expand: Expand = []


class ListPayouts(ListQuery, frozen=True):
    """GET /v1/payouts"""

    UNDONE: ClassVar = {
        "arrival_date": "when a payout arrives is not known before: list by created",
    }

    destination: Destination | None = None
    status: Literal["pending", "in_transit", "paid", "failed", "canceled"] | None = None
