"""What requests about setups may carry: one struct per route, checked at the edge.

Names and meanings follow https://docs.stripe.com/api/setup_intents; ``location`` and
``payment_method_options[card][vault]`` are ours.
"""

from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from bailiwick.base.errors import ApiError
from bailiwick.jurisdiction.locate import Evidence
from bailiwick.resources.mandates.params import Acceptance, MandateData
from bailiwick.resources.payments.methods.params import CardData, Token, is_saved
from bailiwick.resources.payments.params import AutomaticMethods, Methods, check_return_url
from bailiwick.serving.params import Expand, ListQuery, LongText, Metadata, Retrieve, Text

Url = Annotated[str, Meta(max_length=2000)]
Reason = Literal["abandoned", "duplicate", "requested_by_customer"]


class SetupCard(msgspec.Struct, frozen=True):
    """Ours: the vault that a provider's token belongs to."""

    vault: Annotated[str, Meta(max_length=63, pattern=r"^[a-z0-9][a-z0-9-]*\Z")] | None = None


class SetupOptions(msgspec.Struct, frozen=True):
    """What is done of Stripe's ``payment_method_options``: nothing else is taken."""

    card: SetupCard | None = None


class CreateSetup(msgspec.Struct, frozen=True, kw_only=True):
    """POST /v1/setup_intents."""

    confirm: bool = False
    customer: Text | None = None
    description: LongText | None = None
    metadata: Metadata = {}
    usage: Literal["off_session", "on_session"] = "off_session"
    payment_method: Token | None = None
    payment_method_data: CardData | None = None
    payment_method_options: SetupOptions | None = None
    payment_method_types: Methods | None = None
    allowed_payment_method_types: Methods | None = None
    automatic_payment_methods: AutomaticMethods | None = None
    mandate_data: MandateData | None = None
    return_url: Url | None = None
    use_stripe_sdk: bool | None = None
    location: Evidence | None = None
    expand: Expand = []


class RetrieveSetup(Retrieve, frozen=True):
    """GET /v1/setup_intents/{id}"""

    client_secret: Text | None = None


class ConfirmSetup(msgspec.Struct, frozen=True, kw_only=True):
    """POST /v1/setup_intents/{id}/confirm."""

    payment_method: Token | None = None
    payment_method_data: CardData | None = None
    payment_method_options: SetupOptions | None = None
    mandate_data: MandateData | None = None
    return_url: Url | None = None
    use_stripe_sdk: bool | None = None
    client_secret: Text | None = None
    expand: Expand = []


class UpdateSetup(msgspec.Struct, frozen=True, kw_only=True):
    """POST /v1/setup_intents/{id}; empty text unsets, an absent field stays."""

    customer: Text | None | UnsetType = UNSET
    description: LongText | None | UnsetType = UNSET
    metadata: Metadata | None | UnsetType = UNSET
    payment_method: Token | None | UnsetType = UNSET
    payment_method_data: CardData | None = None
    payment_method_options: SetupOptions | None = None
    payment_method_types: Methods | None = None
    allowed_payment_method_types: Methods | None = None
    expand: Expand = []


class CancelSetup(msgspec.Struct, frozen=True):
    """POST /v1/setup_intents/{id}/cancel."""

    cancellation_reason: Reason | None = None
    expand: Expand = []


class ListSetups(ListQuery, frozen=True):
    """GET /v1/setup_intents"""

    UNDONE: ClassVar = {
        "attach_to_self": "payment methods are attached to customers only; send customer",
        "customer_account": "send customer",
    }

    customer: Text | None = None
    payment_method: Text | None = None


_FIXED = "it is fixed when the SetupIntent is created; create another"
_TYPES = "send payment_method_types"
_UNDONE = {
    "attach_to_self": "payment methods are attached to customers only; send customer",
    "customer_account": "send customer",
    "excluded_payment_method_types": _TYPES,
    "flow_directions": "payment methods are set up for payments by customers only; leave it out",
    "on_behalf_of": "there are no connected accounts; leave it out",
    "payment_method_configuration": _TYPES,
}
UNDONE_CREATE = {
    **_UNDONE,
    "confirmation_token": "send payment_method or payment_method_data",
    "single_use": "mandates are for several payments; leave it out",
}
UNDONE_UPDATE = {
    **_UNDONE,
    "automatic_payment_methods": _FIXED,
}
UNDONE_CONFIRM = {
    "confirmation_token": "send payment_method or payment_method_data",
    "allowed_payment_method_types": _FIXED,
    "payment_method_types": _FIXED,
}

Dressing = CreateSetup | ConfirmSetup | UpdateSetup


class Given(msgspec.Struct, frozen=True):
    """The payment method that a request brings.

    Attributes:
        method: one that we keep, or a provider's token.
        vault: the one that the token belongs to, as the request says.
        billing: who pays by it.
    """

    method: str
    vault: str | None = None
    billing: dict[str, Any] = {}


def given(request: Dressing) -> Given | None:
    """The payment method that a request brings; None: it brings none. Raises ApiError (400)."""
    data = request.payment_method_data
    vault = vault_of(request)
    method = request.payment_method
    if isinstance(method, str):
        if data is not None and (data.card is not None or is_saved(method)):
            raise ApiError.invalid(
                "Send either payment_method or payment_method_data: only a provider's token goes "
                "with payment_method_data[billing_details].",
                param="payment_method_data",
            )
        return Given(method, vault, _billing(data))
    if data is None or data.card is None:
        if vault is not None:
            raise ApiError.invalid(
                "payment_method_options[card][vault] says to which vault a token belongs: send "
                "payment_method with it.",
                param="payment_method_options[card][vault]",
            )
        return None
    if is_saved(data.card.token):
        raise ApiError.invalid(
            "This is a payment method, and no token of a provider: send it as payment_method.",
            param="payment_method_data[card][token]",
        )
    return Given(data.card.token, vault, _billing(data))


def _billing(data: CardData | None) -> dict[str, Any]:
    """Who pays by a method that a request brings."""
    if data is None or data.billing_details is None:
        return {}
    details = msgspec.to_builtins(data.billing_details)
    return {name: value for name, value in details.items() if value is not None}


def vault_of(request: Dressing) -> str | None:
    """The vault that a request names."""
    options = request.payment_method_options
    return None if options is None or options.card is None else options.card.vault


def types_given(request: CreateSetup | UpdateSetup) -> list[str] | None:
    """The types of payment methods that a request allows, under either of their names. Raises
    ApiError (400) for both."""
    older, newer = request.payment_method_types, request.allowed_payment_method_types
    if older is not None and newer is not None:
        raise _only_one("allowed_payment_method_types", "payment_method_types")
    return newer if older is None else older


def check_create(request: CreateSetup) -> None:
    """Refuse what contradicts itself. Raises ApiError (400)."""
    types_given(request)
    check_return_url(request.return_url)
    automatic = request.automatic_payment_methods
    if automatic is not None and automatic.enabled and request.payment_method_types is not None:
        raise _only_one("automatic_payment_methods", "payment_method_types")
    if request.mandate_data is not None and not request.confirm:
        raise ApiError.invalid(
            "mandate_data can only be used with confirm=true: send it with the confirmation.",
            param="mandate_data",
        )
    if request.return_url is not None and not request.confirm:
        raise ApiError.invalid(
            "return_url can only be used with confirm=true: send it with the confirmation.",
            param="return_url",
        )
    check_acceptance(request.mandate_data)


def check_acceptance(data: MandateData | None) -> None:
    """Refuse an acceptance that says nothing of where it came from. Raises ApiError (400)."""
    if data is None:
        return
    where = "mandate_data[customer_acceptance]"
    said: Acceptance = data.customer_acceptance
    if said.type not in ("online", "offline"):
        raise ApiError.invalid(
            f"Invalid {where}[type]: must be one of online or offline.", param=f"{where}[type]"
        )
    if said.type == "online" and said.online is None:
        raise ApiError.invalid(
            f"Missing required param: {where}[online].",
            param=f"{where}[online]",
            code="parameter_missing",
        )
    if said.type == "offline" and said.online is not None:
        raise ApiError.invalid(
            "An offline acceptance has no browser: leave online out.", param=f"{where}[online]"
        )


def _only_one(one: str, other: str) -> ApiError:
    return ApiError.invalid(
        f"You may only specify one of these parameters: {one}, {other}.", param=one
    )
