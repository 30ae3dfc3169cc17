"""What requests about payments may carry: one struct per route, checked at the edge.

Names and meanings follow the Stripe v1 API (https://docs.stripe.com/api/payment_intents);
``location`` is ours. Limits are on every length and count.
"""

import re
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from bailiwick.base.errors import ApiError
from bailiwick.base.money import AMOUNT_MAX, payment_amount, payment_currency
from bailiwick.jurisdiction.locate import Evidence
from bailiwick.resources.payments import undone
from bailiwick.resources.payments.methods.params import (
    MethodData,
    MethodOptions,
    Token,
    check_token,
    is_saved,
    plain,
)
from bailiwick.serving.params import (
    Address,
    Amount,
    Expand,
    ListQuery,
    LongText,
    Metadata,
    Retrieve,
    Text,
)

WITHOUT_EFFECT = {
    "receipt_email": "stored and shown; no mail is sent",
    "shipping": "stored and shown; not sent to the provider",
    "statement_descriptor": "stored and shown; what the provider prints is its own",
    "statement_descriptor_suffix": "the same",
    "use_stripe_sdk": "what the payer has to do comes as `next_action` all the same",
}
"""What is taken although nothing follows from it: the table of docs/api.md. Anything else is done,
or refused by name; ``tests/unit/test_without_effect.py`` holds it against the structs."""

CaptureMethod = Literal["automatic", "automatic_async", "manual"]
Reason = Literal["duplicate", "fraudulent", "requested_by_customer", "abandoned"]
Methods = Annotated[list[Text], Meta(min_length=1, max_length=10)]


class AutomaticMethods(msgspec.Struct, frozen=True):
    """Methods follow from the gateways anyway; what is new is that the payer must be able to come
    back, see ``needs_return``."""

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

    UNDONE: ClassVar = undone.CREATE

    amount: Amount
    currency: Annotated[str, Meta(max_length=16)]
    confirm: bool = False
    capture_method: CaptureMethod = "automatic"
    payment_method: Token | None = None
    payment_method_data: MethodData | None = None
    payment_method_options: MethodOptions | None = None
    payment_method_types: Methods | None = None
    allowed_payment_method_types: Methods | None = None
    automatic_payment_methods: AutomaticMethods | None = None
    payment_method_configuration: Text | None = None
    confirmation_method: Literal["automatic", "manual"] | None = None
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

    UNDONE: ClassVar = undone.CONFIRM

    payment_method: Token | None = None
    payment_method_data: MethodData | None = None
    payment_method_options: MethodOptions | None = None
    capture_method: CaptureMethod | None = None
    payment_method_types: Methods | None = None
    allowed_payment_method_types: Methods | None = None
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

    UNDONE: ClassVar = undone.UPDATE

    amount: Amount | UnsetType = UNSET
    currency: Annotated[str, Meta(max_length=16)] | UnsetType = UNSET
    payment_method: Token | None | UnsetType = UNSET
    payment_method_data: MethodData | UnsetType = UNSET
    payment_method_options: MethodOptions | UnsetType = UNSET
    payment_method_types: Methods | None = None
    allowed_payment_method_types: Methods | None = None
    description: LongText | None | UnsetType = UNSET
    metadata: Metadata | None | UnsetType = UNSET
    receipt_email: Text | None | UnsetType = UNSET
    statement_descriptor: Annotated[str, Meta(max_length=22)] | None | UnsetType = UNSET
    statement_descriptor_suffix: Annotated[str, Meta(max_length=22)] | None | UnsetType = UNSET
    customer: Text | None | UnsetType = UNSET
    setup_future_usage: Literal["off_session", "on_session"] | None | UnsetType = UNSET
    shipping: Shipping | None | UnsetType = UNSET
    expand: Expand = []


class CapturePayment(msgspec.Struct, frozen=True):
    """POST /v1/payment_intents/{id}/capture; an amount of 0 releases what is left."""

    UNDONE: ClassVar = undone.ANY

    amount_to_capture: Annotated[int, Meta(ge=0, le=AMOUNT_MAX)] | None = None
    final_capture: bool = True
    metadata: Metadata | None | UnsetType = UNSET
    statement_descriptor: Annotated[str, Meta(max_length=22)] | None = None
    statement_descriptor_suffix: Annotated[str, Meta(max_length=22)] | None = None
    expand: Expand = []


class IncrementPayment(msgspec.Struct, frozen=True):
    """POST /v1/payment_intents/{id}/increment_authorization; ``amount``: of the hold as it is to
    be, all of it."""

    amount: Amount
    description: LongText | UnsetType = UNSET
    metadata: Metadata | UnsetType = UNSET
    statement_descriptor: Annotated[str, Meta(max_length=22)] | UnsetType = UNSET
    expand: Expand = []


UNDONE_INCREMENT = {
    "amount_details": "it is not sent to the provider: keep it in metadata",
    "application_fee_amount": "there are no application fees here",
    "hooks": "there is no tax to compute",
    "payment_details": "it is not sent to the provider: keep it in metadata",
    "transfer_data": "there are no transfers here",
}


class CancelPayment(msgspec.Struct, frozen=True):
    """POST /v1/payment_intents/{id}/cancel."""

    cancellation_reason: Reason | None = None
    expand: Expand = []


class RetrievePayment(Retrieve, frozen=True):
    """GET /v1/payment_intents/{id}"""

    client_secret: Text | None = None


class ListPayments(ListQuery, frozen=True):
    """GET /v1/payment_intents"""

    UNDONE: ClassVar = undone.LIST

    customer: Text | None = None


def method_of(request: CreatePayment | ConfirmPayment) -> str | None:
    """The payment method token of a request, however it was given."""
    if request.payment_method is not None:
        return request.payment_method
    if request.payment_method_data is not None and request.payment_method_data.card is not None:
        return request.payment_method_data.card.token
    return None


def bound(request: CreatePayment) -> bool:
    """Whether a payment can be made at one node alone: where its customer lives."""
    return request.customer is not None or is_saved(request.payment_method)


def vault_of(request: CreatePayment | ConfirmPayment | UpdatePayment) -> str | None:
    """The vault that a request names."""
    options = request.payment_method_options
    if options is None or isinstance(options, UnsetType) or options.card is None:
        return None
    return options.card.vault


def wishes_of(
    request: CreatePayment | ConfirmPayment | UpdatePayment, known: tuple[str, ...] = ()
) -> tuple[str, ...]:
    """What a payment's hold should be able to do, after a request; ``known``: before it."""
    options = request.payment_method_options
    if options is None or isinstance(options, UnsetType) or options.card is None:
        return known
    found = list(known)
    for given in (
        "request_multicapture",
        "request_overcapture",
        "request_incremental_authorization",
    ):
        wish, name = getattr(options.card, given), given.removeprefix("request_")
        if wish is not None and name in found:
            found.remove(name)
        if wish == "if_available":
            found.append(name)
    return tuple(found)


def types_of(request: CreatePayment | ConfirmPayment | UpdatePayment) -> list[str] | None:
    """The types of payment methods that a request allows, under either of their names.

    Raises:
        ApiError: 400, both names are used.
    """
    older, newer = request.payment_method_types, request.allowed_payment_method_types
    if older is not None and newer is not None:
        raise _only_one("allowed_payment_method_types", "payment_method_types")
    return newer if older is None else older


def refuse_unsupported(request: CreatePayment | ConfirmPayment) -> None:
    """Refuse what contradicts itself, what would be taken for done although it is not, and what is
    done for nobody. Raises ApiError (400)."""
    types = types_of(request)
    if isinstance(request, CreatePayment):
        payment_amount(request.amount, payment_currency(request.currency), types or ())
        _check_create(request)
    check_return_url(request.return_url)
    check_token(request.payment_method_data, request.payment_method)


def _check_create(request: CreatePayment) -> None:
    automatic = request.automatic_payment_methods
    if automatic is not None and automatic.enabled:
        for other in ("confirmation_method", "payment_method_types"):
            if getattr(request, other) is not None:
                raise _only_one("automatic_payment_methods", other)
        if request.confirm and needs_return(plain(automatic), request.return_url):
            raise return_missing()
    if request.payment_method_configuration is not None and types_of(request) is not None:
        raise _only_one("payment_method_configuration", "payment_method_types")
    for name in ("off_session", "error_on_requires_action"):
        if getattr(request, name) and not request.confirm:
            raise ApiError.invalid(
                f"{name} can only be used with confirm=true: send it with the confirmation.",
                param=name,
            )


def _only_one(one: str, other: str) -> ApiError:
    return ApiError.invalid(
        f"You may only specify one of these parameters: {one}, {other}.", param=one
    )


def needs_return(automatic: dict[str, Any] | None, return_url: str | None) -> bool:
    """Whether a confirmation lacks an address to come back to: where the client asked for automatic
    methods, any of which may send the payer elsewhere
    (https://docs.stripe.com/api/payment_intents/create, ``automatic_payment_methods``)."""
    if automatic is None or not automatic["enabled"] or return_url is not None:
        return False
    return automatic.get("allow_redirects") != "never"


def return_missing() -> ApiError:
    """The answer to a confirmation that lacks an address to come back to."""
    return ApiError.invalid(
        "This PaymentIntent takes automatic payment methods. Because some of them might redirect "
        "your customer off of your page, you must provide a return_url. If you don't want to "
        "accept redirect-based payment methods, set automatic_payment_methods[enabled] to true "
        "and automatic_payment_methods[allow_redirects] to never when creating PaymentIntents.",
        param="return_url",
        code="parameter_missing",
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
