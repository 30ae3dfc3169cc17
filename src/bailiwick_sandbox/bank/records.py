"""The rows of the books, what is answered about them, and what may be asked for.

Amounts are integers of minor units, times are milliseconds since 1970 by the bank's own clock.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

ChargeStatus = Literal[
    "authorized", "captured", "declined", "pending", "action_required", "voided", "stored"
]
RefundStatus = Literal["succeeded", "pending", "failed"]
Operation = Literal["charge", "capture", "void", "refund", "setup"]

# Twelve digits is what the amount field of an ISO 8583 message can carry.
MAX_AMOUNT = 999_999_999_999

Reference = Annotated[str, Meta(pattern=r"^[A-Za-z0-9._:\-]{1,128}$")]
Amount = Annotated[int, Meta(ge=1, le=MAX_AMOUNT)]
Url = Annotated[str, Meta(max_length=2048)]


class Refusal(Exception):
    """The bank says no, definitely: nothing was changed by the request."""

    def __init__(self, status: int, code: str, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.param = param


class Decline(Struct, frozen=True, gc=False):
    """Why a charge was declined, in the words of the card networks."""

    code: str
    decline_code: str | None
    message: str


class Failure(Struct, frozen=True, gc=False):
    """Why a refund failed."""

    code: str
    message: str


class ChargeRequest(Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """The body of POST /{provider}/charges; ``overcapture``: the final capture of it may take a
    little more than was authorized.

    ``store``: the payer agrees that the merchant charges this source again without being there;
    ``off_session``: nobody is there to authenticate; ``agreement``: the bank's id of the charge by
    which the payer has agreed to that.
    """

    reference: Reference
    amount: Amount
    currency: str
    source: Annotated[str, Meta(max_length=200)]
    capture: bool
    return_url: Url | None = None
    callback_url: Url | None = None
    description: Annotated[str, Meta(max_length=1000)] | None = None
    overcapture: bool = False
    store: bool = False
    off_session: bool = False
    agreement: Annotated[str, Meta(max_length=64)] | None = None


class SetupRequest(Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """The body of POST /{provider}/setups: the payer agrees to be charged later; no money moves."""

    reference: Reference
    source: Annotated[str, Meta(max_length=200)]
    return_url: Url | None = None
    callback_url: Url | None = None


class CaptureRequest(Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """The body of POST /{provider}/charges/{id}/capture; no amount means all that is left.

    ``final``: what is not captured is released; else it stays held for further captures.
    """

    reference: Reference
    amount: Amount | None = None
    final: bool = True


class VoidRequest(Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """The body of POST /{provider}/charges/{id}/void."""

    reference: Reference


class RefundRequest(Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """The body of POST /{provider}/refunds; ``charge`` is the bank's id."""

    reference: Reference
    charge: Annotated[str, Meta(max_length=64)]
    amount: Amount
    callback_url: Url | None = None


class Charge(Struct, frozen=True, omit_defaults=True, gc=False):
    """One charge in the books.

    ``next_status`` and ``next_at`` say how and when an unfinished charge ends by itself; ``lie``
    names the fault that falsifies what is answered about it (never the books); ``callback_fault``
    the one that spoils its callbacks. ``approved_at`` is zero for a charge never approved.
    ``setup``: nothing is charged, only an agreement stored; amount and currency are none.
    """

    provider: str
    id: str
    reference: str
    amount: int
    currency: str
    source: str
    capture: bool
    status: ChargeStatus
    created: int
    updated: int
    amount_authorized: int = 0
    amount_captured: int = 0
    amount_refunded: int = 0
    decline: Decline | None = None
    redirect_url: str | None = None
    return_url: str | None = None
    callback_url: str | None = None
    description: str | None = None
    approved_at: int = 0
    expires_at: int = 0
    void_reason: str = ""
    next_status: Literal["", "approved", "declined"] = ""
    next_at: int = 0
    lie: str = ""
    callback_fault: str = ""
    overcapture: bool = False
    store: bool = False
    off_session: bool = False
    agreement: str | None = None
    setup: bool = False


class Capture(Struct, frozen=True, omit_defaults=True, gc=False):
    """One capture; ``requested`` is what was asked for (nothing means all), for comparison."""

    provider: str
    id: str
    reference: str
    charge: str
    amount: int
    currency: str
    created: int
    requested: int | None = None
    final: bool = True


class Void(Struct, frozen=True, omit_defaults=True, gc=False):
    """One void, asked for by the merchant."""

    provider: str
    id: str
    reference: str
    charge: str
    created: int


class Refund(Struct, frozen=True, omit_defaults=True, gc=False):
    """One refund; a failed one gives its amount back to the charge."""

    provider: str
    id: str
    reference: str
    charge: str
    amount: int
    currency: str
    status: RefundStatus
    created: int
    updated: int
    failure: Failure | None = None
    callback_url: str | None = None
    next_status: Literal["", "succeeded", "failed"] = ""
    next_at: int = 0


class CaptureView(Struct, frozen=True, gc=False):
    """One of a charge's captures as it is answered."""

    reference: str
    amount: int | UnsetType
    final: bool


class ChargeView(Struct, frozen=True, gc=False):
    """A charge as it is answered. ``amount_authorized`` appears after a partial approval only,
    ``capture`` where the answer is about that one, ``agreement`` once the payer has agreed to be
    charged again."""

    id: str
    reference: str
    amount: int | UnsetType
    amount_captured: int | UnsetType
    amount_refunded: int
    currency: str
    status: ChargeStatus
    decline: Decline | None
    redirect_url: str | None
    created: int
    amount_authorized: int | UnsetType = UNSET
    object: str = "charge"
    capture: CaptureView | UnsetType = UNSET
    agreement: str | UnsetType = UNSET


class RefundView(Struct, frozen=True, gc=False):
    """A refund as it is answered."""

    id: str
    reference: str
    charge: str
    amount: int | UnsetType
    currency: str
    status: RefundStatus
    failure: Failure | None
    created: int
    object: str = "refund"


class OperationView(Struct, frozen=True, gc=False):
    """What became of a reference."""

    type: Operation
    reference: str
    status: Literal["succeeded", "failed", "pending"]
    charge: ChargeView
    refund: RefundView | None


def charge_view(row: Charge, lie: str = "") -> ChargeView:
    """The answer about a charge; ``lie`` (or the charge's own) falsifies it on purpose."""
    lie = lie or row.lie
    if lie:
        return _false_charge(row, lie)
    partial = 0 < row.amount_authorized < row.amount
    return ChargeView(
        row.id,
        row.reference,
        row.amount,
        row.amount_captured,
        row.amount_refunded,
        row.currency,
        row.status,
        row.decline,
        row.redirect_url if row.status == "action_required" else None,
        row.created,
        row.amount_authorized if partial else UNSET,
        "setup" if row.setup else "charge",
        agreement=row.id if row.store and row.approved_at else UNSET,
    )


def capture_view(row: Charge, capture: Capture, lie: str = "") -> ChargeView:
    """The answer about a capture of a charge; ``lie`` falsifies it on purpose."""
    amount: int | UnsetType = capture.amount
    lie = lie or row.lie
    if lie == "wrong_amount":
        amount = capture.amount + 100
    elif lie == "missing_amount":
        amount = UNSET
    view = CaptureView(capture.reference, amount, capture.final)
    return msgspec.structs.replace(charge_view(row, lie), capture=view)


def refund_view(row: Refund, lie: str = "") -> RefundView:
    """The answer about a refund; ``lie`` falsifies it on purpose."""
    amount: int | UnsetType = row.amount
    currency = row.currency
    if lie == "wrong_amount":
        amount = row.amount + 100
    elif lie == "wrong_currency":
        currency = _other_currency(currency)
    elif lie == "missing_amount":
        amount = UNSET
    return RefundView(
        row.id,
        row.reference,
        row.charge,
        amount,
        currency,
        row.status,
        row.failure,
        row.created,
    )


def _false_charge(row: Charge, lie: str) -> ChargeView:
    amount: int | UnsetType = row.amount
    captured: int | UnsetType = row.amount_captured
    currency = row.currency
    if lie == "wrong_amount":
        amount = row.amount + 100
        captured = row.amount_captured + 100 if row.amount_captured else 0
    elif lie == "wrong_currency":
        currency = _other_currency(currency)
    elif lie == "missing_amount":
        amount = captured = UNSET
    return ChargeView(
        row.id,
        row.reference,
        amount,
        captured,
        row.amount_refunded,
        currency,
        row.status,
        row.decline,
        row.redirect_url if row.status == "action_required" else None,
        row.created,
        object="setup" if row.setup else "charge",
    )


def _other_currency(currency: str) -> str:
    other = "EUR" if currency.upper() == "USD" else "USD"
    return other if currency.isupper() else other.lower()
