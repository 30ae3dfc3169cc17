"""What requests about payments may carry: one struct per route, checked at the edge.

Names and meanings follow the Stripe v1 API (https://docs.stripe.com/api/payment_intents);
``location`` is ours. Limits are on every length and count.
"""

import re
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from bailiwick.base.errors import ApiError
from bailiwick.base.money import payment_amount, payment_currency
from bailiwick.jurisdiction.locate import Evidence
from bailiwick.serving.params import Amount, Expand, ListQuery, LongText, Metadata, Text

Token = Annotated[str, Meta(max_length=128, pattern=r"^(pm|tok|src|card|ba)_[A-Za-z0-9_]{1,120}$")]
CaptureMethod = Literal["automatic", "automatic_async", "manual"]
Reason = Literal["duplicate", "fraudulent", "requested_by_customer", "abandoned"]
Methods = Annotated[list[Text], Meta(min_length=1, max_length=10)]


class CardToken(msgspec.Struct, frozen=True):
    """A card by its token; numbers are refused (see ``serving.card_check``)."""

    token: Token


class Address(msgspec.Struct, frozen=True, omit_defaults=True):
    """A postal address; stored and shown, not used."""

    line1: Text | None | UnsetType = UNSET
    line2: Text | None | UnsetType = UNSET
    city: Text | None | UnsetType = UNSET
    state: Text | None | UnsetType = UNSET
    postal_code: Text | None | UnsetType = UNSET
    country: Text | None | UnsetType = UNSET


class BillingDetails(msgspec.Struct, frozen=True):
    """Who pays; checked, not kept."""

    name: Text | None | UnsetType = UNSET
    email: Text | None | UnsetType = UNSET
    phone: Text | None | UnsetType = UNSET
    tax_id: Text | None = None
    address: Address | None | UnsetType = UNSET


class MethodData(msgspec.Struct, frozen=True):
    """Inline payment method data."""

    type: Literal["card"]
    card: CardToken | None = None
    billing_details: BillingDetails | None = None


class CardOptions(msgspec.Struct, frozen=True):
    """Ours: the vault that the payment method belongs to."""

    vault: Annotated[str, Meta(max_length=63, pattern=r"^[a-z0-9][a-z0-9-]*\Z")] | None = None


class MethodOptions(msgspec.Struct, frozen=True):
    """What is done of Stripe's ``payment_method_options``: nothing else is taken."""

    card: CardOptions | None = None


class AutomaticMethods(msgspec.Struct, frozen=True):
    """Accepted for compatibility: methods follow from the gateways."""

    enabled: bool
    allow_redirects: Literal["always", "never"] = "always"


class Shipping(msgspec.Struct, frozen=True):
    """Where the goods go; stored and shown, not used."""

    name: Text | None = None
    phone: Text | None = None
    carrier: Text | None = None
    tracking_number: Text | None = None
    address: Address | None = None


class CreatePayment(msgspec.Struct, frozen=True, kw_only=True):
    """POST /v1/payment_intents and /v1/explain."""

    amount: Amount
    currency: Annotated[str, Meta(max_length=16)]
    confirm: bool = False
    capture_method: CaptureMethod = "automatic"
    payment_method: Token | None = None
    payment_method_data: MethodData | None = None
    payment_method_options: MethodOptions | None = None
    payment_method_types: Methods | None = None
    automatic_payment_methods: AutomaticMethods | None = None
    confirmation_method: Literal["automatic"] = "automatic"
    description: LongText | None = None
    metadata: Metadata = {}
    receipt_email: Text | None = None
    statement_descriptor: Annotated[str, Meta(max_length=22)] | None = None
    statement_descriptor_suffix: Annotated[str, Meta(max_length=22)] | None = None
    return_url: Annotated[str, Meta(max_length=2000)] | None = None
    customer: Text | None = None
    setup_future_usage: Literal["off_session", "on_session"] | None = None
    off_session: bool | None = None
    error_on_requires_action: bool = False
    use_stripe_sdk: bool | None = None
    shipping: Shipping | None = None
    location: Evidence | None = None
    expand: Expand = []


class ConfirmPayment(msgspec.Struct, frozen=True):
    """POST /v1/payment_intents/{id}/confirm."""

    payment_method: Token | None = None
    payment_method_data: MethodData | None = None
    payment_method_options: MethodOptions | None = None
    capture_method: CaptureMethod | None = None
    payment_method_types: Methods | None = None
    receipt_email: Text | None | UnsetType = UNSET
    return_url: Annotated[str, Meta(max_length=2000)] | None = None
    setup_future_usage: Literal["off_session", "on_session"] | None | UnsetType = UNSET
    off_session: bool | None = None
    error_on_requires_action: bool = False
    use_stripe_sdk: bool | None = None
    client_secret: Text | None = None
    shipping: Shipping | None | UnsetType = UNSET
    location: Evidence | None = None
    expand: Expand = []


class UpdatePayment(msgspec.Struct, frozen=True):
    """POST /v1/payment_intents/{id}; empty text unsets, an absent field stays."""

    amount: Amount | UnsetType = UNSET
    currency: Annotated[str, Meta(max_length=16)] | UnsetType = UNSET
    payment_method: Token | None | UnsetType = UNSET
    payment_method_data: MethodData | UnsetType = UNSET
    payment_method_options: MethodOptions | UnsetType = UNSET
    payment_method_types: Methods | UnsetType = UNSET
    description: LongText | None | UnsetType = UNSET
    metadata: Metadata | None | UnsetType = UNSET
    receipt_email: Text | None | UnsetType = UNSET
    statement_descriptor: Annotated[str, Meta(max_length=22)] | None | UnsetType = UNSET
    customer: Text | None | UnsetType = UNSET
    setup_future_usage: Literal["off_session", "on_session"] | None | UnsetType = UNSET
    shipping: Shipping | None | UnsetType = UNSET
    expand: Expand = []


class CapturePayment(msgspec.Struct, frozen=True):
    """POST /v1/payment_intents/{id}/capture."""

    amount_to_capture: Amount | None = None
    final_capture: bool = True
    metadata: Metadata | None | UnsetType = UNSET
    statement_descriptor: Annotated[str, Meta(max_length=22)] | None = None
    expand: Expand = []


class CancelPayment(msgspec.Struct, frozen=True):
    """POST /v1/payment_intents/{id}/cancel."""

    cancellation_reason: Reason | None = None
    expand: Expand = []


class ListPayments(ListQuery, frozen=True):
    """GET /v1/payment_intents"""

    customer: Text | None = None


def method_of(request: CreatePayment | ConfirmPayment) -> str | None:
    """The payment method token of a request, however it was given."""
    if request.payment_method is not None:
        return request.payment_method
    if request.payment_method_data is not None and request.payment_method_data.card is not None:
        return request.payment_method_data.card.token
    return None


def vault_of(request: CreatePayment | ConfirmPayment | UpdatePayment) -> str | None:
    """The vault that a request names."""
    options = request.payment_method_options
    if options is None or isinstance(options, UnsetType) or options.card is None:
        return None
    return options.card.vault


def plain(given: msgspec.Struct | None) -> dict[str, Any] | None:
    """A nested parameter as it is stored."""
    return None if given is None else msgspec.to_builtins(given)


def refuse_unsupported(request: CreatePayment | ConfirmPayment) -> None:
    """Refuse what would be taken for done although it is not, and what is done for nobody. Raises
    ApiError (400)."""
    if isinstance(request, CreatePayment):
        currency = payment_currency(request.currency)
        payment_amount(request.amount, currency, request.payment_method_types or ())
    check_return_url(request.return_url)
    if request.error_on_requires_action:
        raise ApiError.invalid(
            "error_on_requires_action=true is not supported: leave it out and cancel the "
            "PaymentIntent when it has a status of requires_action.",
            param="error_on_requires_action",
        )


_RETURN_URL = re.compile(r"https?://[^\s/?#\x00-\x20\x7f][\x21-\x7e]*", re.IGNORECASE | re.ASCII)


def check_return_url(url: str | None) -> None:
    """Refuse an address that a payer's browser must not be sent to. Raises ApiError (400)."""
    if url is not None and _RETURN_URL.fullmatch(url) is None:
        raise ApiError.invalid(
            "Invalid return_url: an https or http address is expected, in plain ASCII without "
            "blanks. An app's own scheme is not taken: use a link that your app claims.",
            param="return_url",
            code="url_invalid",
        )
