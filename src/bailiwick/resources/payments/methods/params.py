"""What requests say about what a payment is paid by: checked at the edge, as it is stored. Pure.

Names and meanings follow the Stripe v1 API (``payment_method_data``, ``payment_method_options`` of
https://docs.stripe.com/api/payment_intents/create), but for what ``MethodData`` says is ours.
"""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from bailiwick.base.errors import ApiError
from bailiwick.base.ids import is_id
from bailiwick.methods import every, of_code
from bailiwick.serving.params import Address, Text

Flow = Literal["redirect", "shown_code", "presented_code", "in_app", "push", "voucher", "transfer"]
INTEGER_MAX = 2**53 - 1
Code = Annotated[str, Meta(min_length=4, max_length=64, pattern=r"^[0-9A-Za-z]+\Z")]
Token = Annotated[str, Meta(max_length=128, pattern=r"^(pm|tok|src|card|ba)_[A-Za-z0-9_]{1,120}$")]


class CardToken(msgspec.Struct, frozen=True):
    """A card by its token; numbers are refused (see ``serving.card_check``)."""

    token: Token


class BillingDetails(msgspec.Struct, frozen=True):
    """Who pays; kept with the payment and shown with its charge."""

    name: Text | None | UnsetType = UNSET
    email: Text | None | UnsetType = UNSET
    phone: Text | None | UnsetType = UNSET
    tax_id: Text | None = None
    address: Address | None | UnsetType = UNSET


class CardData(msgspec.Struct, frozen=True):
    """Inline data of a card."""

    type: Literal["card"]
    card: CardToken | None = None
    billing_details: BillingDetails | None = None


class Boleto(msgspec.Struct, frozen=True):
    """What a Boleto needs: CPF or CNPJ."""

    tax_id: Text | None = None


class MethodData(msgspec.Struct, frozen=True):
    """Inline payment method data.

    What is ours: ``flow``, how the payer meets the provider, where a type has several ways;
    ``code``, scanned off the payer's phone or read out by the payer; ``wallet_id``, who the payer
    is in the wallet's own app; ``virtual_address``, where a push goes; ``device``, whether the
    payer is at a desk or a phone; ``ip_address``, from where the payer comes; ``expires_at``, until
    when the payer may act (Unix time in seconds). ``type`` may be left out where the code tells it.
    """

    type: Annotated[str, Meta(max_length=40, pattern=r"^[a-z][a-z0-9_]*\Z")] | None = None
    card: CardToken | None = None
    billing_details: BillingDetails | None = None
    boleto: Boleto | None = None
    flow: Flow | None = None
    code: Code | None = None
    wallet_id: Annotated[str, Meta(min_length=1, max_length=128)] | None = None
    virtual_address: Annotated[str, Meta(min_length=3, max_length=255)] | None = None
    device: Literal["web", "mobile"] | None = None
    ip_address: Annotated[str, Meta(max_length=45, pattern=r"^[0-9A-Fa-f:.]+\Z")] | None = None
    expires_at: Annotated[int, Meta(ge=0, le=INTEGER_MAX)] | None = None

    def kind(self) -> str:
        """The type: as it is said, else as the code tells it.

        Raises:
            ApiError: 400, there is none, or the code is another type's.
        """
        told = None if self.code is None else of_code(self.code)
        if self.type is None and told is None:
            raise ApiError.invalid(
                "payment_method_data[type] is needed: the type of the payment method.",
                param="payment_method_data[type]",
                code="parameter_missing",
            )
        own = None if self.type is None else every().get(self.type)
        if told not in (None, self.type) and own is not None and own.codes is not None:
            raise ApiError.invalid(
                f"This is no code of {self.type}, but of {told}: send payment_method_data[type]="
                f"{told}, or leave the type out.",
                param="payment_method_data[code]",
            )
        return self.type or told or ""


Wish = Literal["if_available", "never"]


class CardOptions(msgspec.Struct, frozen=True):
    """What a card's hold should be able to do; ours: the vault that the method belongs to."""

    vault: Annotated[str, Meta(max_length=63, pattern=r"^[a-z0-9][a-z0-9-]*\Z")] | None = None
    request_multicapture: Wish | None = None
    request_overcapture: Wish | None = None
    request_incremental_authorization: Wish | None = None


class WeChatOptions(msgspec.Struct, frozen=True):
    """Where the payer is: ``web`` is shown a code, an app is opened on a phone."""

    client: Literal["android", "ios", "web"] | None = None


class PixOptions(msgspec.Struct, frozen=True):
    """How long a Pix code is good, in one of two ways."""

    expires_after_seconds: Annotated[int, Meta(ge=10, le=1_209_600)] | None = None
    expires_at: Annotated[int, Meta(ge=0, le=INTEGER_MAX)] | None = None


class BlikOptions(msgspec.Struct, frozen=True):
    """The six digits that the payer's bank shows."""

    code: Annotated[str, Meta(pattern=r"^[0-9]{6}\Z")] | None = None


class VoucherOptions(msgspec.Struct, frozen=True):
    """How many days a voucher can be paid."""

    expires_after_days: Annotated[int, Meta(ge=1, le=60)] | None = None


class MethodOptions(msgspec.Struct, frozen=True):
    """What is done of Stripe's ``payment_method_options``: nothing else is taken."""

    card: CardOptions | None = None
    wechat_pay: WeChatOptions | None = None
    pix: PixOptions | None = None
    blik: BlikOptions | None = None
    boleto: VoucherOptions | None = None
    oxxo: VoucherOptions | None = None


Data = MethodData | None | UnsetType


def plain(given: msgspec.Struct | None) -> dict[str, Any] | None:
    """A nested parameter as it is stored."""
    return None if given is None else msgspec.to_builtins(given)


def is_saved(method: str | None) -> bool:
    """Whether a payment method is one that we keep, and no provider's token."""
    return method is not None and is_id(method, "pm")


def check_token(data: Data, method: str | None | UnsetType) -> None:
    """Refuse a saved payment method where a provider's token is meant, a card where another type
    is, and another type beside a payment method. Raises ApiError (400)."""
    if data is None or isinstance(data, UnsetType):
        return
    kind = data.kind()
    if isinstance(method, str) and kind != "card":
        raise ApiError.invalid(
            "Send either payment_method or payment_method_data: this payment method is another.",
            param="payment_method_data",
        )
    if data.card is None:
        return
    if kind != "card":
        raise ApiError.invalid(
            f"A {kind} is no card: leave payment_method_data[card] out.",
            param="payment_method_data[card]",
        )
    if is_saved(data.card.token):
        raise ApiError.invalid(
            "This is a payment method, and no token of a provider: send it as payment_method.",
            param="payment_method_data[card][token]",
        )


def billing_of(data: Data) -> dict[str, Any] | None:
    """Who pays by the payment method that a request brings, as it is stored."""
    if data is None or isinstance(data, UnsetType):
        return None
    given = plain(data.billing_details) or {}
    if data.boleto is not None and data.boleto.tax_id is not None:
        given["tax_id"] = data.boleto.tax_id
    if given.get("address") is not None:
        given["address"] = _filled(given["address"]) or None
    return _filled(given) or None


def _filled(given: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if value is not None}
