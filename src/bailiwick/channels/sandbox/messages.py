"""What the sandbox provider is sent and answers, message by message (docs/sandbox.md). Pure."""

from typing import Annotated, Literal

import msgspec

from bailiwick.channels.blocks.parsing import Id, Minor
from bailiwick.channels.contract import Payer


class ChargeBody(msgspec.Struct, frozen=True, omit_defaults=True):
    reference: str
    amount: int
    currency: str
    source: str
    capture: bool
    return_url: str | None = None
    callback_url: str | None = None
    description: str | None = None
    overcapture: bool = False
    store: bool = False
    off_session: bool = False
    agreement: str | None = None
    method: str | None = None
    flow: str | None = None
    code: str | None = None
    payer: Payer | None = None
    expires_at: int | None = None
    completes: str = ""


class CompletionBody(msgspec.Struct, frozen=True, omit_defaults=True):
    reference: str
    result: str = ""


class ReversalBody(msgspec.Struct, frozen=True):
    reference: str
    charge_reference: str


class SetupBody(msgspec.Struct, frozen=True, omit_defaults=True):
    reference: str
    source: str
    return_url: str | None = None
    callback_url: str | None = None


class CaptureBody(msgspec.Struct, frozen=True, omit_defaults=True):
    reference: str
    amount: int
    final: bool = True


class IncrementBody(msgspec.Struct, frozen=True):
    reference: str
    amount: int


class VoidBody(msgspec.Struct, frozen=True):
    reference: str


class RefundBody(msgspec.Struct, frozen=True, omit_defaults=True):
    reference: str
    charge: str
    amount: int
    callback_url: str | None = None


class EvidenceFile(msgspec.Struct, frozen=True):
    """Bytes are base64 in JSON."""

    name: str
    type: str
    content: bytes


class EvidenceBody(msgspec.Struct, frozen=True, omit_defaults=True):
    reference: str
    evidence: dict[str, str] = {}
    files: dict[str, EvidenceFile] = {}


class Reason(msgspec.Struct, frozen=True):
    code: str | None = None
    decline_code: str | None = None
    message: str | None = None


class Capture(msgspec.Struct, frozen=True):
    reference: Id
    amount: Minor | None = None


class Increment(msgspec.Struct, frozen=True):
    reference: Id
    amount: Minor | None = None


Text = Annotated[str, msgspec.Meta(min_length=1, max_length=1000, pattern=r"^[^\x00-\x1f]+\Z")]
Texts = Annotated[dict[Text, Text], msgspec.Meta(max_length=20)]


class ToDo(msgspec.Struct, frozen=True):
    """What the payer has to do."""

    type: str
    url: str | None = None
    text: Text | None = None
    parameters: Texts | None = None
    number: Text | None = None
    account: Texts | None = None
    reference: Text | None = None
    expires_at: Minor | None = None


class Charge(msgspec.Struct, frozen=True):
    object: Literal["charge", "setup"]
    id: Id
    reference: Id
    status: str
    amount: Minor | None = None
    amount_authorized: Minor | None = None
    amount_captured: Minor | None = None
    currency: str | None = None
    decline: Reason | None = None
    redirect_url: str | None = None
    capture: Capture | None = None
    increment: Increment | None = None
    agreement: Id | None = None
    action: ToDo | None = None


class Reversal(msgspec.Struct, frozen=True):
    object: Literal["reversal"]
    reference: Id
    charge_reference: Id
    status: str
    charge: Charge | None = None


class Refund(msgspec.Struct, frozen=True):
    object: Literal["refund"]
    id: Id
    reference: Id
    charge: Id
    status: str
    amount: Minor | None = None
    currency: str | None = None
    failure: Reason | None = None


class Dispute(msgspec.Struct, frozen=True):
    object: Literal["dispute"]
    id: Id
    charge: Id
    charge_reference: Id
    status: Literal[
        "warning_needs_response",
        "warning_under_review",
        "warning_closed",
        "needs_response",
        "under_review",
        "won",
        "lost",
    ]
    funds: Literal["held", "withdrawn", "reinstated"]
    amount: Minor
    currency: str
    reason: str
    sequence: Minor
    fee: Minor = 0
    due_at: Minor | None = None
    past_due: bool = False
    submissions: Minor = 0
    refundable: bool = False


class PayoutBody(msgspec.Struct, frozen=True, omit_defaults=True):
    reference: str
    amount: int
    currency: str
    destination: str
    callback_url: str | None = None
    statement_descriptor: str | None = None


class Payout(msgspec.Struct, frozen=True):
    object: Literal["payout"]
    id: Id
    reference: Id
    status: str
    amount: Minor | None = None
    currency: str | None = None
    failure: Reason | None = None


class Lookup(msgspec.Struct, frozen=True):
    type: str
    reference: Id
    status: Literal["succeeded", "failed", "pending"]
    charge: Charge | None = None
    refund: Refund | None = None
    dispute: Dispute | None = None
    payout: Payout | None = None


class Fault(msgspec.Struct, frozen=True):
    code: str
    message: str | None = None


class Failure(msgspec.Struct, frozen=True):
    error: Fault


class Event(msgspec.Struct, frozen=True):
    id: Id
    type: str
    data: msgspec.Raw
