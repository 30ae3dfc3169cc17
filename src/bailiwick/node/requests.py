"""What requests may carry: one struct per route, checked at the edge.

Names and meanings follow the Stripe v1 API (https://docs.stripe.com/api/payment_intents);
``location`` is ours. Limits are on every length and count.
"""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from bailiwick.base.cards import has_card_number
from bailiwick.base.errors import ApiError
from bailiwick.base.money import AMOUNT_MAX

Text = Annotated[str, Meta(max_length=500)]
LongText = Annotated[str, Meta(max_length=1000)]
Token = Annotated[str, Meta(max_length=128, pattern=r"^(pm|tok|src|card|ba)_[A-Za-z0-9_]{1,120}$")]
Amount = Annotated[int, Meta(ge=1, le=AMOUNT_MAX)]
METADATA_KEYS_MAX = 50
Metadata = Annotated[dict[str, Text], Meta(max_length=METADATA_KEYS_MAX)]
Expand = Annotated[list[Text], Meta(max_length=10)]
CaptureMethod = Literal["automatic", "automatic_async", "manual"]
Reason = Literal["duplicate", "fraudulent", "requested_by_customer", "abandoned"]
METADATA_KEY_CHARS_MAX = 40


class Place(msgspec.Struct, frozen=True):
    """Where the payer is: the one thing added to the format."""

    country: Annotated[str, Meta(max_length=8)] | None = None
    subdivision: Annotated[str, Meta(max_length=8)] | None = None
    coordinates: Annotated[str, Meta(max_length=64)] | None = None
    ip_address: Annotated[str, Meta(max_length=64)] | None = None


class CardToken(msgspec.Struct, frozen=True):
    """A card by its token; numbers are refused (see ``refuse_cards``)."""

    token: Token


class MethodData(msgspec.Struct, frozen=True):
    """Inline payment method data."""

    type: Literal["card"]
    card: CardToken | None = None
    billing_details: dict[str, Any] | None = None


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
    address: dict[str, Text] | None = None


class CreatePayment(msgspec.Struct, frozen=True, kw_only=True):
    """POST /v1/payment_intents and /v1/explain."""

    amount: Amount
    currency: Annotated[str, Meta(max_length=16)]
    confirm: bool = False
    capture_method: CaptureMethod = "automatic"
    payment_method: Token | None = None
    payment_method_data: MethodData | None = None
    payment_method_types: Annotated[list[Text], Meta(max_length=10)] | None = None
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
    location: Place | None = None
    expand: Expand = []


class ConfirmPayment(msgspec.Struct, frozen=True):
    """POST /v1/payment_intents/{id}/confirm."""

    payment_method: Token | None = None
    payment_method_data: MethodData | None = None
    capture_method: CaptureMethod | None = None
    payment_method_types: Annotated[list[Text], Meta(max_length=10)] | None = None
    receipt_email: Text | None = None
    return_url: Annotated[str, Meta(max_length=2000)] | None = None
    setup_future_usage: Literal["off_session", "on_session"] | None = None
    off_session: bool | None = None
    error_on_requires_action: bool = False
    use_stripe_sdk: bool | None = None
    client_secret: Text | None = None
    shipping: Shipping | None = None
    location: Place | None = None
    expand: Expand = []


class UpdatePayment(msgspec.Struct, frozen=True):
    """POST /v1/payment_intents/{id}; empty text unsets, an absent field stays."""

    amount: Amount | UnsetType = UNSET
    currency: Annotated[str, Meta(max_length=16)] | UnsetType = UNSET
    payment_method: Token | None | UnsetType = UNSET
    payment_method_data: MethodData | UnsetType = UNSET
    payment_method_types: Annotated[list[Text], Meta(max_length=10)] | UnsetType = UNSET
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
    metadata: Metadata = {}
    statement_descriptor: Annotated[str, Meta(max_length=22)] | None = None
    expand: Expand = []


class CancelPayment(msgspec.Struct, frozen=True):
    """POST /v1/payment_intents/{id}/cancel."""

    cancellation_reason: Reason | None = None
    expand: Expand = []


class CreateRefund(msgspec.Struct, frozen=True):
    """POST /v1/refunds."""

    payment_intent: Text | None = None
    charge: Text | None = None
    amount: Amount | None = None
    reason: Literal["duplicate", "fraudulent", "requested_by_customer"] | None = None
    metadata: Metadata = {}
    expand: Expand = []


class UpdateRefund(msgspec.Struct, frozen=True):
    """POST /v1/refunds/{id}."""

    metadata: Metadata | None | UnsetType = UNSET
    expand: Expand = []


class Retrieve(msgspec.Struct, frozen=True):
    """Query of a GET of one object."""

    client_secret: Text | None = None
    expand: Expand = []


SECONDS_MAX = 2**53 // 1000 - 1
"""As milliseconds, every time up to this one, and the next, fits the database and a JSON number."""
Second = Annotated[int, Meta(ge=0, le=SECONDS_MAX)]


class Span(msgspec.Struct, frozen=True):
    """A range of creation times, in seconds since the Unix epoch."""

    gt: Second | None = None
    gte: Second | None = None
    lt: Second | None = None
    lte: Second | None = None


class Moment(msgspec.Struct, frozen=True):
    """One second of creation."""

    created: Second


class ListQuery(msgspec.Struct, frozen=True):
    """What the queries of all lists have."""

    limit: Annotated[int, Meta(ge=1, le=100)] = 10
    starting_after: Text | None = None
    ending_before: Text | None = None
    created: Any = None
    partial: Literal["allow"] | None = None
    expand: Expand = []


class ListPayments(ListQuery, frozen=True):
    """GET /v1/payment_intents"""

    customer: Text | None = None


class ListRefunds(ListQuery, frozen=True):
    """GET /v1/refunds"""

    payment_intent: Text | None = None
    charge: Text | None = None


class ListEvents(ListQuery, frozen=True):
    """GET /v1/events"""

    type: Text | None = None
    types: Annotated[list[Text], Meta(max_length=20)] | None = None


class ListEndpoints(msgspec.Struct, frozen=True):
    """GET /v1/webhook_endpoints: sorted by id, descending."""

    limit: Annotated[int, Meta(ge=1, le=100)] = 10
    starting_after: Text | None = None
    ending_before: Text | None = None
    expand: Expand = []


class CreateEndpoint(msgspec.Struct, frozen=True, kw_only=True):
    """POST /v1/webhook_endpoints."""

    url: Annotated[str, Meta(max_length=2000)]
    enabled_events: Annotated[list[Text], Meta(min_length=1, max_length=100)]
    description: Text | None = None
    metadata: Metadata = {}
    api_version: Text | None = None
    connect: bool | None = None
    expand: Expand = []


class UpdateEndpoint(msgspec.Struct, frozen=True):
    """POST /v1/webhook_endpoints/{id}."""

    url: Annotated[str, Meta(max_length=2000)] | UnsetType = UNSET
    enabled_events: Annotated[list[Text], Meta(min_length=1, max_length=100)] | UnsetType = UNSET
    description: Text | None | UnsetType = UNSET
    metadata: Metadata | None | UnsetType = UNSET
    disabled: bool | None = None
    expand: Expand = []


def method_of(request: CreatePayment | ConfirmPayment) -> str | None:
    """The payment method token of a request, however it was given."""
    if request.payment_method is not None:
        return request.payment_method
    if request.payment_method_data is not None and request.payment_method_data.card is not None:
        return request.payment_method_data.card.token
    return None


def refuse_unsupported(request: CreatePayment | ConfirmPayment) -> None:
    """Refuse what would be taken for done although it is not. Raises ApiError (400)."""
    if request.error_on_requires_action:
        raise ApiError.invalid(
            "error_on_requires_action=true is not supported: leave it out and cancel the "
            "PaymentIntent when it has a status of requires_action.",
            param="error_on_requires_action",
        )


def refuse_cards(params: dict[str, Any], prefix: str = "") -> None:
    """Refuse a card number in any field, nested ones and names included.

    Raises:
        ApiError: 400 naming the field; the number itself is repeated nowhere.
    """
    for name, value in params.items():
        where = f"{prefix}[{name}]" if prefix else name
        if isinstance(value, dict):
            refuse_cards(value, where)
        elif isinstance(value, list):
            refuse_cards({str(place): item for place, item in enumerate(value)}, where)
        elif has_card_number(name) or has_card_number(str(value)):
            shown = (prefix or "a parameter's name") if has_card_number(name) else where
            raise ApiError.invalid(
                f"{shown[:100]} holds a card number. Card numbers are not accepted: have the "
                "payer's browser exchange it for a token at the provider and send the token.",
                param=shown[:100],
                code="card_number_refused",
            )


def check_metadata(metadata: dict[str, str] | None | UnsetType) -> None:
    """Metadata names are bounded too. Raises ApiError (400)."""
    if isinstance(metadata, dict):
        for name in metadata:
            if len(name) > METADATA_KEY_CHARS_MAX:
                raise ApiError.invalid(
                    f"Metadata keys have at most {METADATA_KEY_CHARS_MAX} characters.",
                    param=f"metadata[{name[:METADATA_KEY_CHARS_MAX]}]",
                )


def merged(old: dict[str, str], new: dict[str, str] | None | UnsetType) -> dict[str, str]:
    """Metadata after an update: an empty value removes its key, an empty map removes all.

    Raises:
        ApiError: 400, there would be too many keys.
    """
    if isinstance(new, UnsetType):
        return old
    if new is None:
        return {}
    found = {key: value for key, value in {**old, **new}.items() if value != ""}
    if len(found) > max(METADATA_KEYS_MAX, len(old)):
        raise ApiError.invalid(
            f"Metadata has at most {METADATA_KEYS_MAX} keys; with this update it would have "
            f"{len(found)}. Remove some: an empty value removes its key.",
            param="metadata",
        )
    return found
