"""What requests about payment methods may carry: one struct per route, checked at the edge.

Names and meanings follow https://docs.stripe.com/api/payment_methods; ``location`` and
``card[vault]`` are ours.
"""

from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from bailiwick.jurisdiction.locate import Evidence
from bailiwick.resources.payments.methods.params import BillingDetails, Token
from bailiwick.serving.params import Expand, ListQuery, Metadata, Text

Redisplay = Literal["always", "limited", "unspecified"]
Type = Annotated[str, Meta(max_length=40)]

_KINDS = """
    acss_debit affirm afterpay_clearpay alipay alma amazon_pay au_becs_debit bacs_debit
    bancontact billie bizum blik boleto cashapp crypto custom customer_balance eps fpx
    giropay grabpay ideal interac_present kakao_pay klarna konbini kr_card link mb_way
    mobilepay multibanco naver_pay nz_bank_account oxxo p24 pay_by_bank payco paynow paypal
    paypay payto pix promptpay revolut_pay samsung_pay satispay scalapay sepa_debit sequra
    sofort sunbit swish twint upi us_bank_account wechat_pay zip
""".split()
"""Kinds of payment methods whose details are parameters in Stripe's API."""


class SavedCard(msgspec.Struct, frozen=True):
    """A card by its token, and the account that the token was made at; numbers are refused (see
    ``serving.card_check``)."""

    token: Token
    vault: Annotated[str, Meta(max_length=63, pattern=r"^[a-z0-9][a-z0-9-]*\Z")] | None = None


class CreateMethod(msgspec.Struct, frozen=True, kw_only=True):
    """POST /v1/payment_methods."""

    UNDONE: ClassVar = {
        **dict.fromkeys(_KINDS, "only cards are saved: send type=card and card"),
        "radar_options": "risk is the provider's to judge: leave it out",
    }

    type: Literal["card"]
    card: SavedCard
    allow_redisplay: Redisplay = "unspecified"
    billing_details: BillingDetails | None = None
    metadata: Metadata | None | UnsetType = UNSET
    location: Evidence | None = None
    expand: Expand = []


class UpdateMethod(msgspec.Struct, frozen=True):
    """POST /v1/payment_methods/{id}."""

    allow_redisplay: Redisplay | None = None
    billing_details: BillingDetails | None = None
    metadata: Metadata | None | UnsetType = UNSET
    expand: Expand = []


class AttachMethod(msgspec.Struct, frozen=True):
    """POST /v1/payment_methods/{id}/attach."""

    customer: Text
    expand: Expand = []


class DetachMethod(msgspec.Struct, frozen=True):
    """POST /v1/payment_methods/{id}/detach."""

    expand: Expand = []


class ListMethods(ListQuery, frozen=True):
    """GET /v1/payment_methods and /v1/customers/{id}/payment_methods"""

    UNDONE: ClassVar = {
        "allow_redisplay": "read it from each payment method of the list",
        "customer_account": "send customer",
    }

    customer: Text | None = None
    type: Type | None = None


_ATTACH = "make it without, then attach it"
UNDONE_CREATE = {"customer": _ATTACH, "customer_account": _ATTACH, "payment_method": _ATTACH}
UNDONE_UPDATE = {
    "card": "what a token stands for is the provider's to change; make another payment method",
    "us_bank_account": "there are cards only",
}
UNDONE_ATTACH = {"customer_account": "send customer"}
