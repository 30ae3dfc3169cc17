"""What PayPal can do, and what its orders, payments and errors mean for money."""

from decimal import Decimal
from typing import Literal

import msgspec
from msgspec.structs import replace

from bailiwick.channels.blocks import amounts, parsing, refusals, words
from bailiwick.channels.blocks.parsing import Id
from bailiwick.channels.blocks.signing import transmissions
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

SIGNED = transmissions.Checksummed(
    "paypal", "webhook_id", ("webhook_certificate", "webhook_certificate_2")
)
COMPLETE = "complete"
_WAYS = (Resolve.PROVIDER_ID, Resolve.REPLAY, Resolve.CALLBACK)
_PAGE = Takes(Family.REDIRECT, returns=True, lasts_ms=170 * 60_000, completed_by=COMPLETE)
PLACES = {
    Operation.CHARGE: "/v2/checkout/orders",
    Operation.CAPTURE: "/v2/payments/captures",
    Operation.REFUND: "/v2/payments/refunds",
}
"""Where what was made by an operation is read."""

PROFILE = Profile(
    name="paypal",
    title="PayPal",
    resolve={**dict.fromkeys(PLACES, _WAYS), Operation.VOID: (Resolve.REPLAY,)},
    steps={COMPLETE: _WAYS},
    visibility_ms=60_000,
    # Keys of orders are kept for 6 hours, those of payments for 45 days.
    replay_ms=5 * 3_600_000,
    methods={"paypal": (_PAGE,)},
    currencies=tuple(
        "AUD BRL CAD CHF CZK DKK EUR GBP HKD HUF ILS JPY MXN MYR NOK NZD PHP PLN SEK SGD THB TWD "
        "USD".split()
    ),
    exponents={"HUF": 0, "TWD": 0},
    capture_ids=True,
    # An authorization is good for 29 days, and is honoured for the first three.
    hold_ms=28 * 86_400_000,
    secrets=("client_id", "client_secret", SIGNED.certificates[0]),
    options=(SIGNED.about,),
    preparations=("token",),
    callbacks=SIGNED,
)

_WAITS = ("CREATED", "SAVED", "PAYER_ACTION_REQUIRED")
_LINKS = ("payer-action", "approve")
_CAPTURED = ("COMPLETED", "PARTIALLY_REFUNDED", "REFUNDED")
_HELD = ("CREATED", "PARTIALLY_CAPTURED", "CAPTURED")
_FAILED = ("DECLINED", "DENIED", "FAILED", "CANCELLED")
# By these PayPal says that it was done before: by a request of ours, too.
DONE_BEFORE = frozenset(
    "AUTHORIZATION_ALREADY_CAPTURED DUPLICATE_INVOICE_ID ORDER_ALREADY_AUTHORIZED "
    "ORDER_ALREADY_CAPTURED ORDER_COMPLETED_OR_VOIDED ORDER_COMPLETION_IN_PROGRESS "
    "PREVIOUS_REQUEST_IN_PROGRESS".split()
)
EXPIRED = ("AUTHORIZATION_EXPIRED", "AUTHORIZATION_VOIDED", "PREVIOUSLY_VOIDED")
DECLINES = words.pairs(
    "COMPLIANCE_VIOLATION transaction_not_allowed INSTRUMENT_DECLINED generic_decline "
    "PAYEE_BLOCKED_TRANSACTION transaction_not_allowed PAYER_ACCOUNT_LOCKED_OR_CLOSED "
    "restricted_card PAYER_ACCOUNT_RESTRICTED restricted_card PAYER_CANNOT_PAY generic_decline "
    "REDIRECT_PAYER_FOR_ALTERNATE_FUNDING generic_decline TRANSACTION_BLOCKED_BY_PAYEE "
    "transaction_not_allowed TRANSACTION_LIMIT_EXCEEDED card_velocity_exceeded "
    "TRANSACTION_REFUSED generic_decline"
)


class Money(msgspec.Struct, frozen=True):
    """An amount in units of its currency."""

    currency_code: str
    value: Decimal


class Payment(msgspec.Struct, frozen=True):
    """An authorization, a capture or a refund."""

    id: Id
    status: str | None = None
    amount: Money | None = None
    custom_id: str | None = None
    invoice_id: str | None = None


class Payments(msgspec.Struct, frozen=True):
    """What was made of an order."""

    authorizations: list[Payment] = []
    captures: list[Payment] = []


class Unit(msgspec.Struct, frozen=True):
    """What is paid for; of ours there is one in an order."""

    custom_id: str | None = None
    invoice_id: str | None = None
    payments: Payments = Payments()


class Link(msgspec.Struct, frozen=True):
    """Where something is."""

    href: str
    rel: str


class Order(msgspec.Struct, frozen=True):
    """An order."""

    id: Id
    status: str
    purchase_units: list[Unit]
    links: list[Link] = []


class About(msgspec.Struct, frozen=True):
    """What a callback is about: an order, or one of the payments."""

    id: Id | None = None
    invoice_id: str | None = None
    purchase_units: list[Unit] = []


class Event(msgspec.Struct, frozen=True):
    """A callback."""

    id: Id
    resource_type: str | None = None
    resource: About = About()


class Issue(msgspec.Struct, frozen=True):
    """What exactly is wrong."""

    issue: str


class Failure(msgspec.Struct, frozen=True):
    """The body of an answer that says what is wrong; ``error`` is that of a token."""

    name: str = ""
    error: Literal["invalid_token", ""] = ""
    message: str | None = None
    details: list[Issue] = []


def looked_up(instruction: Instruction) -> str | None:
    """Under which id to look: of a charge that went on, its order's, which tells what was made."""
    return instruction.before[0] if instruction.before else instruction.provider_ref


def answer(instruction: Instruction, reply: Reply) -> Result:
    """What an order or a payment says of what was wanted."""
    if instruction.operation is Operation.CHARGE:
        return _charge(instruction, parsing.decode(reply.body, Order))
    if instruction.operation is Operation.VOID and reply.status == 204:
        return Result(
            Outcome.APPROVED, None, instruction.amount, instruction.currency, captured=False
        )
    found = parsing.decode(reply.body, Payment)
    if found is None:
        return unknown("unreadable")
    if instruction.operation is Operation.VOID:
        if found.id != instruction.provider_ref:
            return unknown("reference_mismatch")
        if found.status != "VOIDED":
            return unknown("not_done")
        return replace(_told(found, ("VOIDED",), captured=False), provider_ref=None)
    if found.invoice_id != instruction.reference:
        return unknown("reference_mismatch")
    if instruction.operation is Operation.CAPTURE:
        return _told(found, _CAPTURED)
    told = _told(found, ("COMPLETED",))
    if told.outcome is Outcome.DECLINED:
        return Result(Outcome.DECLINED, found.id, code="refund_failed", detail="failed")
    return told


def _charge(instruction: Instruction, found: Order | None) -> Result:
    if found is None or len(found.purchase_units) != 1:
        return unknown("unreadable")
    (unit,) = found.purchase_units
    made = unit.payments
    paid = made.authorizations or made.captures
    named = {unit.custom_id, *(each.custom_id for each in paid)} - {None}
    if named != {instruction.reference} or looked_up(instruction) not in (None, found.id):
        return unknown("reference_mismatch")
    if len(paid) > 1:
        return unknown("several_payments")
    if paid:
        held = bool(made.authorizations)
        return _told(paid[0], _HELD if held else _CAPTURED, captured=not held)
    status = found.status.lower()
    if found.status in _WAITS:
        to = next((each.href for each in found.links if each.rel in _LINKS), None)
        action = redirect(parsing.link(to, https_only=True))
        return Result(Outcome.PENDING, found.id, action=action, detail=status)
    if found.status == "APPROVED":
        return Result(Outcome.PENDING, found.id, detail=status, step=COMPLETE)
    if found.status == "VOIDED":
        return Result(Outcome.DECLINED, found.id, code="charge_canceled", detail=status)
    return replace(unknown(parsing.word(status) or "unknown_status"), provider_ref=found.id)


def _told(found: Payment, done: tuple[str, ...], *, captured: bool = True) -> Result:
    """What a payment says that is done by these statuses."""
    status = found.status or ""
    code = None if found.amount is None else amounts.upper(found.amount.currency_code)
    value = None if found.amount is None else found.amount.value
    if status in done:
        amount = amounts.from_major(PROFILE, value, code)
        return Result(Outcome.APPROVED, found.id, amount, code, captured)
    if status == "PENDING":
        return Result(Outcome.PENDING, found.id, detail="pending")
    if status in _FAILED:
        return refusals.declined(found.id, "generic_decline")
    if status == "VOIDED":
        return Result(Outcome.DECLINED, found.id, code="charge_canceled", detail="voided")
    return replace(unknown(parsing.word(status.lower()) or "unknown_status"), provider_ref=found.id)


def failure(reply: Reply) -> Result:
    """What an answer other than a success says."""
    found = parsing.decode(reply.body, Failure) or Failure()
    code = found.details[0].issue if found.details else found.name or found.error
    if code in DONE_BEFORE:
        return unknown(code.lower())
    told = refusals.refusal(reply, code.lower(), found.message)
    if told.detail != "refused":
        return told
    if code in DECLINES:
        return replace(refusals.declined(None, DECLINES[code]), message=told.message)
    return replace(told, code="charge_expired_for_capture") if code in EXPIRED else told
