"""What Mollie can do, and what its payments, captures, refunds and errors mean for money."""

from decimal import Decimal
from typing import Any

import msgspec
from msgspec.structs import replace

from bailiwick.channels.blocks import amounts, parsing, refusals, times, words
from bailiwick.channels.blocks.parsing import Id
from bailiwick.channels.contract import (
    Act,
    Action,
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

_PAGE = Takes(Family.REDIRECT, returns=True, holds=False)
_ASKED = (Resolve.REFERENCE, Resolve.REPLAY)
METHODS = words.pairs(
    "bancontact bancontact bank_transfer banktransfer card creditcard eps eps ideal ideal"
    " p24 przelewy24 paypal paypal sepa_debit directdebit"
)
# https://docs.mollie.com/payments/multicurrency. PayPal gets forints rounded to whole ones.
_BOTH = tuple("AUD CAD CHF CZK DKK EUR GBP HKD ILS JPY NOK NZD PHP PLN SEK SGD USD".split())
PROFILE = Profile(
    name="mollie",
    title="Mollie",
    resolve={
        Operation.CHARGE: (Resolve.PROVIDER_ID, Resolve.REPLAY, Resolve.CALLBACK),
        Operation.CAPTURE: _ASKED,
        Operation.VOID: (Resolve.PROVIDER_ID, Resolve.REPLAY),
        Operation.REFUND: _ASKED,
    },
    # How soon a capture or refund is listed is not said.
    visibility_ms=900_000,
    # Keys are kept for one hour.
    replay_ms=50 * 60_000,
    methods={
        **dict.fromkeys(METHODS, (_PAGE,)),
        "bank_transfer": (Takes(Family.TRANSFER, returns=True, currencies=("EUR",), holds=False),),
        "card": (Takes(), Takes(Family.REDIRECT, returns=True)),
        "paypal": (replace(_PAGE, currencies=_BOTH),),
        "sepa_debit": (Takes(holds=False),),
    },
    currencies=(*_BOTH, "AED", "BGN", "HUF", "ISK", "RON", "ZAR"),
)

_OPEN = ("open", "pending")
_GONE = {"canceled": "charge_canceled", "expired": "payment_intent_payment_attempt_expired"}
_DONE = {
    "succeeded": Outcome.APPROVED,
    "refunded": Outcome.APPROVED,
    **dict.fromkeys(("canceled", "failed"), Outcome.DECLINED),
    **dict.fromkeys(("pending", "processing", "queued"), Outcome.PENDING),
}
_REASONS = words.pairs(
    "authentication_abandoned authentication_required authentication_failed authentication_required"
    " authentication_required authentication_required authentication_unavailable_acs"
    " authentication_required card_expired expired_card inactive_card invalid_account"
    " insufficient_funds insufficient_funds invalid_cvv incorrect_cvc"
    " invalid_card_number incorrect_number invalid_card_type card_not_supported"
    " possible_fraud fraudulent refused_by_issuer do_not_honor"
)


class Money(msgspec.Struct, frozen=True):
    """An amount in whole units of its currency, with decimals."""

    currency: str
    value: Decimal


class Details(msgspec.Struct, frozen=True, rename="camel"):
    """What a payment's method adds."""

    bank_name: str | None = None
    bank_account: str | None = None
    bank_bic: str | None = None
    transfer_reference: str | None = None
    failure_reason: str | None = None
    failure_message: str | None = None


class Link(msgspec.Struct, frozen=True):
    """Where something is."""

    href: str | None = None


class Links(msgspec.Struct, frozen=True):
    """What goes with an object, or with a page of a list."""

    checkout: Link | None = None
    next: Link | None = None


class Made(msgspec.Struct, frozen=True, rename="camel"):
    """A payment, a capture or a refund."""

    resource: str
    id: Id
    amount: Money | None = None
    status: str | None = None
    metadata: Any = None
    is_cancelable: bool | None = None
    expires_at: str | None = None
    details: Details | None = None
    links: Links = msgspec.field(name="_links", default=Links())


class Embedded(msgspec.Struct, frozen=True):
    """What a list is of."""

    captures: list[Made] | None = None
    refunds: list[Made] | None = None


class Page(msgspec.Struct, frozen=True):
    """Those of a payment."""

    embedded: Embedded = msgspec.field(name="_embedded")
    links: Links = msgspec.field(name="_links", default=Links())


class Fault(msgspec.Struct, frozen=True):
    """The body of an answer that says what is wrong."""

    status: int
    title: str
    detail: str
    field: str | None = None


def answer(instruction: Instruction, reply: Reply) -> Result:
    """What an answer with one object says of what was asked for."""
    found = parsing.decode(reply.body, Made)
    if found is None:
        return unknown("unreadable")
    if instruction.operation is Operation.VOID:
        return _given_up(found) if found.id == instruction.provider_ref else unknown("unreadable")
    if _own(found) != instruction.reference:
        return unknown("reference_mismatch")
    if instruction.operation is not Operation.CHARGE:
        return _done(instruction.operation, found)
    return _charge(found, instruction.automatic)


def listed(instruction: Instruction, reply: Reply) -> Result:
    """What the captures or refunds of a payment say of ours: there is one at most."""
    page = parsing.decode(reply.body, Page)
    capturing = instruction.operation is Operation.CAPTURE
    listing = (
        None if page is None else page.embedded.captures if capturing else page.embedded.refunds
    )
    if page is None or listing is None:
        return unknown("unreadable")
    own = [each for each in listing if _own(each) == instruction.reference]
    if len(own) == 1:
        return _done(instruction.operation, own[0])
    if own or page.links.next is not None:
        return unknown("several_listed" if own else "not_listed")
    return Result(Outcome.UNKNOWN, not_found=True, detail="not_found")


def _own(found: Made) -> object:
    return found.metadata.get("reference") if isinstance(found.metadata, dict) else None


def _charge(found: Made, automatic: bool) -> Result:
    status, details = found.status or "", found.details or Details()
    word = parsing.word(status) or "unknown_status"
    held = status == "authorized" and not automatic
    if held or status == "paid":
        return _approved(found, captured=not held)
    if status in _OPEN or status == "authorized":
        return Result(Outcome.PENDING, found.id, action=_action(found, details), detail=word)
    if status in _GONE:
        return Result(Outcome.DECLINED, found.id, code=_GONE[status], detail=word)
    if status == "failed":
        reason = _REASONS.get(details.failure_reason or "", "generic_decline")
        told = refusals.declined(found.id, reason)
        return replace(told, message=parsing.sentence(details.failure_message))
    return Result(Outcome.UNKNOWN, found.id, detail=word)


def _action(found: Made, details: Details) -> Action | None:
    if details.bank_account is None:
        checkout = found.links.checkout or Link()
        return redirect(parsing.link(checkout.href, https_only=True))
    named = {"bank": details.bank_name, "bic": details.bank_bic, "iban": details.bank_account}
    account = {key: text for key, text in named.items() if text and parsing.shown(text)}
    reference, ends = parsing.shown(details.transfer_reference), times.to_ms(found.expires_at)
    return Action(Act.TRANSFER, reference=reference, account=account, expires_ms=ends)


def _done(operation: Operation, found: Made) -> Result:
    """How a capture or refund ended."""
    # The first captures had no status: they were of what had been taken.
    outcome = _DONE.get(found.status or "", Outcome.UNKNOWN)
    if outcome is Outcome.APPROVED:
        return _approved(found)
    word = parsing.word(found.status) or "unknown_status"
    code = f"{operation}_failed" if outcome is Outcome.DECLINED else None
    return Result(outcome, found.id, code=code, detail=word)


def _given_up(found: Made) -> Result:
    """How a payment stands that was to be canceled: one that has ended can take nothing."""
    status = found.status or ""
    if status in _GONE or status == "failed":
        return _approved(found)
    if status == "paid" or (status == "authorized" and found.is_cancelable is False):
        return Result(Outcome.DECLINED, found.id, code="void_not_allowed", detail=status)
    if status in (*_OPEN, "authorized"):
        return Result(Outcome.PENDING, found.id, detail=status)
    return Result(Outcome.UNKNOWN, found.id, detail=parsing.word(status) or "unknown_status")


def _approved(found: Made, *, captured: bool = True) -> Result:
    money = found.amount
    currency = None if money is None else amounts.upper(money.currency)
    amount = None if money is None else amounts.from_major(PROFILE, money.value, currency)
    return Result(Outcome.APPROVED, found.id, amount, currency, captured)


def failure(instruction: Instruction, reply: Reply) -> Result:
    """An answer that is no success. 400 is said of a key that was used before, and 429 may be said
    of a repeat."""
    fault = parsing.decode(reply.body, Fault)
    if fault is None or fault.status != reply.status or reply.status in (400, 429):
        return unknown(parsing.not_answered(reply))
    if instruction.operation is Operation.VOID and reply.status in (404, 422):
        # It may have ended meanwhile, or an earlier try may have canceled it: it is looked at.
        return Result(Outcome.PENDING, instruction.provider_ref, detail="not_cancelable")
    code = "invalid_request" if fault.field is None else f"invalid_{fault.field.lower()}"
    return refusals.refusal(reply, code, fault.detail)
