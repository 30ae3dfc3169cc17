"""The rows of the books, and what may be asked for.

Amounts are integers of minor units, times are milliseconds since 1970 by the bank's own clock.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from bailiwick_sandbox.families.wire import Code, Completes, Family, Flow, Method, Payer

ChargeStatus = Literal[
    "authorized",
    "captured",
    "declined",
    "pending",
    "action_required",
    "approved",
    "voided",
    "stored",
]
RefundStatus = Literal["succeeded", "pending", "failed"]
DisputeStatus = Literal[
    "warning_needs_response",
    "warning_under_review",
    "warning_closed",
    "needs_response",
    "under_review",
    "won",
    "lost",
]
PayoutStatus = Literal["pending", "in_transit", "paid", "failed", "canceled"]
Operation = Literal[
    "charge",
    "increment",
    "capture",
    "complete",
    "void",
    "refund",
    "evidence",
    "concede",
    "payout",
    "payout_cancel",
    "setup",
]

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
    """Why a refund or payout failed."""

    code: str
    message: str


class ChargeRequest(Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """The body of POST /{provider}/charges; ``overcapture``: the final capture of it may take a
    little more than was authorized.

    ``store``: the payer agrees that the merchant charges this source again without being there;
    ``off_session``: nobody is there to authenticate; ``agreement``: the bank's id of the charge by
    which the payer has agreed to that.

    ``method``: what the payer pays by, in the words of the API, a card if nothing is said;
    ``flow``: how the payer meets the bank; ``code``: off the payer's phone; ``expires_at``: until
    when the payer may act; ``completes``: see there.
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
    method: Method | None = None
    flow: Flow = "token"
    code: Code | None = None
    payer: Payer | None = None
    expires_at: int | None = None
    completes: Completes = ""


class FlowRequest(ChargeRequest, frozen=True, forbid_unknown_fields=True, kw_only=True, gc=False):
    """The same with a flow, which needs no source."""

    source: Annotated[str, Meta(max_length=200)] = ""


class IncrementRequest(Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """The body of POST /{provider}/charges/{id}/increment; ``amount``: of the authorization as it
    is to be, all of it."""

    reference: Reference
    amount: Amount


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


class ReversalRequest(Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """The body of POST /{provider}/reversals; ``charge_reference``: the merchant's own, of a charge
    that may never have come."""

    reference: Reference
    charge_reference: Reference


class RefundRequest(Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """The body of POST /{provider}/refunds; ``charge`` is the bank's id."""

    reference: Reference
    charge: Annotated[str, Meta(max_length=64)]
    amount: Amount
    callback_url: Url | None = None


class SentFile(Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """A file of evidence as it is sent: its content in base64."""

    name: str
    type: str
    content: bytes


class KeptFile(Struct, frozen=True, gc=False):
    """A file of evidence in the books: what it was, not what is in it."""

    name: str
    type: str
    size: int
    sha256: str


class DisputeRequest(Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """The body of POST /{provider}/disputes/{id}/evidence and /close (without evidence)."""

    reference: Reference
    evidence: dict[str, str] = {}
    files: dict[str, SentFile] = {}


class PayoutRequest(Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """The body of POST /{provider}/payouts; ``destination``: a bank account or wallet."""

    reference: Reference
    amount: Amount
    currency: str
    destination: Annotated[str, Meta(max_length=200)]
    callback_url: Url | None = None
    statement_descriptor: Annotated[str, Meta(max_length=22)] | None = None


class RecallRequest(Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """The body of POST /{provider}/payouts/{id}/cancel."""

    reference: Reference


class Charge(Struct, frozen=True, omit_defaults=True, gc=False):
    """One charge in the books.

    ``next_status`` and ``next_at`` say how and when an unfinished charge ends by itself; ``lie``
    names the fault that falsifies what is answered about it (never the books); ``callback_fault``
    the one that spoils its callbacks. ``approved_at`` is zero for a charge never approved.
    ``setup``: nothing is charged, only an agreement stored; amount and currency are none.
    ``family``: of one whose request said how the payer pays.
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
    family: Family | None = None


class Increment(Struct, frozen=True, omit_defaults=True, gc=False):
    """One increment; ``amount``: of the authorization after it."""

    provider: str
    id: str
    reference: str
    charge: str
    amount: int
    currency: str
    created: int


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


class Reversal(Struct, frozen=True, omit_defaults=True, gc=False):
    """One charge given up by the merchant's reference of it; ``amount`` was returned. Without
    ``charge``, it was not here."""

    provider: str
    id: str
    reference: str
    charge_reference: str
    created: int
    charge: str = ""
    amount: int = 0
    currency: str = ""


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


class Dispute(Struct, frozen=True, omit_defaults=True, gc=False):
    """One dispute of a charge. ``funds``: whether its amount and fee are with the merchant.

    ``sequence`` counts its changes; ``next_status`` and ``next_at`` say how and when it goes on by
    itself: decided, or lost when no evidence came in time.
    """

    provider: str
    id: str
    charge: str
    amount: int
    currency: str
    reason: str
    status: DisputeStatus
    created: int
    updated: int
    due_at: int
    fee: int = 0
    sequence: int = 1
    funds: Literal["held", "withdrawn", "reinstated"] = "held"
    submissions: int = 0
    past_due: bool = False
    next_status: DisputeStatus | Literal[""] = ""
    next_at: int = 0


class Submission(Struct, frozen=True, omit_defaults=True, gc=False):
    """What a merchant sent about a dispute, once for each reference: evidence, or that it is
    conceded."""

    provider: str
    id: str
    reference: str
    dispute: str
    charge: str
    kind: Literal["evidence", "concede"]
    created: int
    evidence: dict[str, str] = {}
    files: dict[str, KeptFile] = {}


class Payout(Struct, frozen=True, omit_defaults=True, gc=False):
    """One payout; a failed or canceled one gives its amount back. ``left``: what it still becomes
    by itself, the next of it at ``next_at``."""

    provider: str
    id: str
    reference: str
    amount: int
    currency: str
    destination: str
    status: PayoutStatus
    created: int
    updated: int
    failure: Failure | None = None
    callback_url: str | None = None
    left: tuple[PayoutStatus, ...] = ()
    next_at: int = 0


class Recall(Struct, frozen=True, omit_defaults=True, gc=False):
    """A payout that was canceled by the merchant."""

    provider: str
    id: str
    reference: str
    payout: str
    amount: int
    currency: str
    created: int
