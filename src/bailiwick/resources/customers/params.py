"""What requests about customers may carry: one struct per route, checked at the edge.

Names and meanings follow https://docs.stripe.com/api/customers; ``location`` is ours.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from bailiwick.jurisdiction.locate import Evidence
from bailiwick.serving.params import Address, Expand, ListQuery, LongText, Metadata, Text

Email = Annotated[str, Meta(max_length=512)]
Name = Annotated[str, Meta(max_length=256)]
ShortName = Annotated[str, Meta(max_length=150)]
Phone = Annotated[str, Meta(max_length=50)]
Locales = Annotated[list[Annotated[str, Meta(max_length=35)]], Meta(min_length=1, max_length=20)]
TaxExempt = Literal["none", "exempt", "reverse"]


class Shipping(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where the customer's goods go; stored and shown, not used."""

    name: Name
    address: Address
    phone: Phone | UnsetType = UNSET


class InvoiceSettings(msgspec.Struct, frozen=True):
    """The default payment method, one that is attached to the customer: stored and shown."""

    default_payment_method: Text | None | UnsetType = UNSET


class UpdateCustomer(msgspec.Struct, frozen=True):
    """POST /v1/customers/{id}; empty text unsets, an absent field stays."""

    address: Address | None | UnsetType = UNSET
    business_name: ShortName | None | UnsetType = UNSET
    description: LongText | None | UnsetType = UNSET
    email: Email | None | UnsetType = UNSET
    individual_name: ShortName | None | UnsetType = UNSET
    invoice_settings: InvoiceSettings | None = None
    metadata: Metadata | None | UnsetType = UNSET
    name: Name | None | UnsetType = UNSET
    phone: Phone | None | UnsetType = UNSET
    preferred_locales: Locales | UnsetType = UNSET
    shipping: Shipping | None | UnsetType = UNSET
    tax_exempt: TaxExempt | None | UnsetType = UNSET
    expand: Expand = []


class CreateCustomer(UpdateCustomer, frozen=True):
    """POST /v1/customers."""

    test_clock: Text | None = None
    location: Evidence | None = None


class ListCustomers(ListQuery, frozen=True):
    """GET /v1/customers"""

    email: Email | None = None
    test_clock: Text | None = None


_NO_INVOICES = "no invoices are made here, so it would have no effect; leave it out"
_NO_TAX = "no tax is computed here; leave it out"
_METHODS = "make a payment method and attach it to the customer"
_UNDONE = {
    "balance": _NO_INVOICES,
    "cash_balance": "no money is held for customers here; leave it out",
    "invoice_prefix": _NO_INVOICES,
    "next_invoice_sequence": _NO_INVOICES,
    "source": _METHODS,
    "tax": _NO_TAX,
    "validate": "payment methods are not tried out when they are attached; leave it out",
}
UNDONE_CREATE = {
    **_UNDONE,
    "payment_method": _METHODS,
    "tax_id_data": _NO_TAX,
}
UNDONE_UPDATE = {
    **_UNDONE,
    "default_source": "use invoice_settings[default_payment_method]",
    "location": "a customer stays at the node where it was made; make another one there",
}
