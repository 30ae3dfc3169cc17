"""What Checkout.com can do, and what its payments, actions, errors and events mean for money."""

from typing import Annotated

import msgspec
from msgspec.structs import replace

from bailiwick.channels.blocks import amounts, marked, parsing, refusals, signatures
from bailiwick.channels.blocks.iso8583.codes import DECLINES
from bailiwick.channels.blocks.parsing import Id, Minor
from bailiwick.channels.contract import (
    Family,
    Instruction,
    Operation,
    Outcome,
    Profile,
    Reply,
    Resolve,
    Result,
    Takes,
    redirect,
    unknown,
)

SIGNED = signatures.OfBody("cko-signature", "sha256", ("callback_secret", "callback_secret_2"))
_ASKED = (Resolve.REFERENCE, Resolve.REPLAY, Resolve.CALLBACK)
_PAGE = (Takes(Family.REDIRECT, returns=True, holds=False),)

PROFILE = Profile(
    name="checkout_com",
    title="Checkout.com",
    resolve={
        Operation.CHARGE: (Resolve.PROVIDER_ID, *_ASKED),
        Operation.CAPTURE: _ASKED,
        Operation.VOID: _ASKED,
        Operation.REFUND: _ASKED,
    },
    # How soon a payment is listed is not said.
    visibility_ms=900_000,
    # Keys are kept for 24 hours.
    replay_ms=23 * 3_600_000,
    methods={"alipay": _PAGE, "card": (Takes(),), "ideal": _PAGE},
    # https://www.checkout.com/docs/payments/accept-payments/format-the-amount-value: all that are
    # not among its lists have two decimals; amounts with three end in 0.
    exponents={"CLP": 2},
    multiples=dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 10),
    multiple_captures=True,
    secrets=("api_key", "callback_secret"),
    options=("processing_channel_id",),
    secret_headers=(SIGNED.header,),
    callbacks=SIGNED,
    callbacks_by_id=True,
)

_TAKEN = ("Authorized", "Captured", "Partially Captured")
_GONE = {
    "Canceled": "charge_canceled",
    "Expired": "payment_intent_payment_attempt_expired",
    "Voided": "charge_canceled",
}
TYPES = {Operation.CAPTURE: "Capture", Operation.REFUND: "Refund", Operation.VOID: "Void"}
EVENTS = {
    "payment_approved": (Operation.CHARGE, "Authorized"),
    "payment_authentication_failed": (Operation.CHARGE, "Declined"),
    "payment_canceled": (Operation.CHARGE, "Canceled"),
    "payment_declined": (Operation.CHARGE, "Declined"),
    "payment_expired": (Operation.CHARGE, "Expired"),
    "payment_captured": (Operation.CAPTURE, "Captured"),
    "payment_capture_declined": (Operation.CAPTURE, "Declined"),
    "payment_refunded": (Operation.REFUND, "Refunded"),
    "payment_refund_declined": (Operation.REFUND, "Declined"),
    "payment_voided": (Operation.VOID, "Voided"),
    "payment_void_declined": (Operation.VOID, "Declined"),
}


class Link(msgspec.Struct, frozen=True):
    """Where something is."""

    href: str | None = None


class Links(msgspec.Struct, frozen=True):
    """What goes with a payment."""

    redirect: Link = Link()


class Payment(msgspec.Struct, frozen=True):
    """A payment, one of the things that were done to it, or the receipt of what is to be done."""

    id: Id | None = None
    action_id: Id | None = None
    type: str | None = None
    status: str | None = None
    approved: bool | None = None
    amount: Minor | None = None
    currency: str | None = None
    reference: str | None = None
    response_code: str | None = None
    links: Links = msgspec.field(name="_links", default=Links())


class Page(msgspec.Struct, frozen=True):
    """Payments with a reference."""

    data: list[Payment]


class Event(msgspec.Struct, frozen=True):
    """A callback."""

    id: Id
    type: str
    data: Payment


class Fault(msgspec.Struct, frozen=True):
    """The body of an answer that says what is wrong."""

    error_type: str
    error_codes: Annotated[list[str], msgspec.Meta(min_length=1)]


def charge(instruction: Instruction, found: Payment) -> Result:
    """What a payment says of the charge that it stands for."""
    own = marked.spelt(instruction.reference, instruction.automatic)
    if found.id is None or found.reference != own:
        return unknown("unreadable" if found.id is None else "reference_mismatch")
    return stands(found, found.status or "", instruction.automatic)


def stands(found: Payment, status: str, automatic: bool) -> Result:
    """How a charge stands, by a status of its payment."""
    if status in _TAKEN and found.approved is not False:
        amount, currency = amounts.told(PROFILE, found.amount, found.currency)
        captured = automatic or status != "Authorized"
        return Result(Outcome.APPROVED, found.id, amount, currency, captured)
    if status == "Pending":
        action = redirect(parsing.link(found.links.redirect.href, https_only=True))
        return Result(Outcome.PENDING, found.id, action=action, detail="pending")
    if status == "Declined":
        return refusals.declined(found.id, _reason(found.response_code or ""))
    if status in _GONE:
        return Result(Outcome.DECLINED, found.id, code=_GONE[status], detail=status.lower())
    return replace(unknown("undecided_status"), provider_ref=found.id)


def _reason(code: str) -> str:
    """The last two digits of 200.. and 300.. are the bank's own code, as ISO 8583 has it."""
    if code == "20014":
        return "incorrect_number"
    banks = len(code) == 5 and code[:3] in ("200", "300")
    return DECLINES.get(code[-2:], "generic_decline") if banks else "generic_decline"


def done(operation: Operation, found: Payment, known: str | None, currency: str | None) -> Result:
    """How a capture, void or refund ended."""
    if found.approved:
        amount, code = amounts.told(PROFILE, found.amount, currency)
        return Result(Outcome.APPROVED, known, amount, code)
    return Result(Outcome.DECLINED, known, code=f"{operation}_failed", detail="failed")


def listed(instruction: Instruction, reply: Reply) -> Result:
    """What the actions of a payment say of ours: their currency is the payment's."""
    kind = TYPES[instruction.operation]
    for each in parsing.decode(reply.body, list[Payment]) or ():
        if each.reference == instruction.reference and each.type == kind:
            if each.approved is None:
                return replace(unknown("undecided_status"), provider_ref=each.id)
            return done(instruction.operation, each, each.id, instruction.currency)
    return unknown("not_listed")


def found_by(instruction: Instruction, reply: Reply) -> Result:
    """What the payments with our reference say: there is one at most."""
    page = parsing.decode(reply.body, Page)
    if page is None:
        return unknown("unreadable")
    if not page.data:
        return Result(Outcome.UNKNOWN, not_found=True, detail="not_found")
    return charge(instruction, page.data[0]) if len(page.data) == 1 else unknown("several_listed")


def failure(instruction: Instruction, reply: Reply) -> Result:
    """An answer by which nothing was done, or that does not tell: 429 is said of a repeat, too."""
    fault = parsing.decode(reply.body, Fault)
    theirs = fault is not None or parsing.header(reply.headers, "cko-request-id") is not None
    if not theirs or reply.status == 429:
        return unknown(parsing.not_answered(reply))
    charging = instruction.operation is Operation.CHARGE
    if reply.status in (403, 404) and not charging:
        code = "resource_missing" if reply.status == 404 else f"{instruction.operation}_not_allowed"
        return Result(Outcome.DECLINED, code=code, detail="refused")
    if reply.status in (401, 403):
        return refusals.refusal(reply, "unauthorized", None)
    return refusals.refusal(reply, None if fault is None else fault.error_codes[0], None)
