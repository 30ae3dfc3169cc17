"""What Square can do, and what its payments, refunds, errors and events mean for money."""

from typing import Annotated

import msgspec
from msgspec.structs import replace

from bailiwick.channels.blocks import amounts, marked, parsing, refusals, signatures, words
from bailiwick.channels.blocks.parsing import Id, Minor
from bailiwick.channels.contract import (
    CallbackEvent,
    Instruction,
    Operation,
    Outcome,
    Profile,
    Reply,
    Resolve,
    Result,
    no_such_method,
    unknown,
)

SIGNED = signatures.OfAddress("x-square-hmacsha256-signature")
_SEEN = (Resolve.PROVIDER_ID, Resolve.REPLAY, Resolve.CALLBACK)
PROFILE = Profile(
    name="square",
    title="Square",
    resolve={
        Operation.CHARGE: (*_SEEN, Resolve.REVERSAL),
        Operation.CAPTURE: _SEEN,
        Operation.VOID: _SEEN,
        Operation.REFUND: _SEEN,
    },
    # How soon a payment is found by its key is not said, nor how long keys are kept.
    visibility_ms=60_000,
    replay_ms=3_600_000,
    # https://developer.squareup.com/docs/build-basics/international-development
    currencies=("AUD", "CAD", "EUR", "GBP", "JPY", "USD"),
    partial_capture=False,
    # Seven days, where the card was not there.
    hold_ms=156 * 3_600_000,
    reversal=True,
    secrets=("api_key", "callback_secret"),
    options=("location_id",),
    secret_headers=(SIGNED.header,),
    callbacks=SIGNED,
    callbacks_by_id=True,
    # https://developer.squareup.com/docs/devtools/sandbox/payments
    shared_tokens=r"tok_cnon_card_nonce_[a-z_]+",
)

_GONE = ("CANCELED", "FAILED")
_REFUNDS = {
    "COMPLETED": Outcome.APPROVED,
    "PENDING": Outcome.PENDING,
    "FAILED": Outcome.DECLINED,
    "REJECTED": Outcome.DECLINED,
}
# Said of a repeat, too, of which the first may have been carried out.
_UNDECIDED = ("API_ERROR", "RATE_LIMIT_ERROR", "EXTERNAL_VENDOR_ERROR")
_REASONS = words.pairs(
    "ADDRESS_VERIFICATION_FAILURE incorrect_zip ALLOWABLE_PIN_TRIES_EXCEEDED pin_try_exceeded"
    " BAD_EXPIRATION invalid_expiry_month CARDHOLDER_INSUFFICIENT_PERMISSIONS card_not_supported"
    " CARD_DECLINED_CALL_ISSUER call_issuer CARD_EXPIRED expired_card"
    " CARD_DECLINED_VERIFICATION_REQUIRED authentication_required"
    " CARD_NOT_SUPPORTED card_not_supported CVV_FAILURE incorrect_cvc"
    " EXPIRATION_FAILURE invalid_expiry_month INSUFFICIENT_FUNDS insufficient_funds"
    " INVALID_ACCOUNT invalid_account INVALID_CARD incorrect_number"
    " INVALID_CARD_DATA incorrect_number INVALID_EXPIRATION invalid_expiry_month"
    " INVALID_PIN incorrect_pin INVALID_POSTAL_CODE incorrect_zip"
    " PAN_FAILURE incorrect_number PAYMENT_LIMIT_EXCEEDED card_velocity_exceeded"
    " TRANSACTION_LIMIT card_velocity_exceeded UNSUPPORTED_CARD_BRAND card_not_supported"
    " VERIFY_AVS_FAILURE incorrect_zip VERIFY_CVV_FAILURE incorrect_cvc VOICE_FAILURE call_issuer"
)


class Money(msgspec.Struct, frozen=True):
    """An amount in the smallest denomination of its currency."""

    amount: Minor | None = None
    currency: str | None = None


class Fault(msgspec.Struct, frozen=True):
    """What is wrong."""

    category: str
    code: str
    detail: str | None = None
    field: str | None = None


class Card(msgspec.Struct, frozen=True):
    """Why a card's payment has failed."""

    errors: list[Fault] | None = None


class Movement(msgspec.Struct, frozen=True):
    """A payment or a refund."""

    id: Id
    status: str | None = None
    amount_money: Money = Money()
    reference_id: str | None = None
    reason: str | None = None
    payment_id: str | None = None
    card_details: Card | None = None


class Answer(msgspec.Struct, frozen=True):
    """The body of an answer."""

    errors: list[Fault] | None = None
    payment: Movement | None = None
    refund: Movement | None = None


class Data(msgspec.Struct, frozen=True):
    """What an event is about."""

    object: Answer = Answer()


class Event(msgspec.Struct, frozen=True):
    """A callback."""

    event_id: Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
    type: str
    data: Data = Data()


def answer(instruction: Instruction, reply: Reply) -> Result:
    """What an answer says of what was asked for."""
    body = parsing.decode(reply.body, Answer)
    if body is None or body.errors:
        return unknown("unreadable")
    operation = instruction.operation
    found = body.refund if operation is Operation.REFUND else body.payment
    if found is None:
        bare = operation is Operation.VOID and not instruction.provider_ref and body == Answer()
        # No payment is there by this key: none any more, or none yet.
        absent = Result(Outcome.UNKNOWN, not_found=True, detail="not_found")
        return absent if bare else unknown("unreadable")
    if operation is Operation.CHARGE:
        own = marked.spelt(instruction.reference, instruction.automatic)
        same = found.reference_id == own
        return charge(found, instruction.automatic) if same else unknown("reference_mismatch")
    if operation is Operation.REFUND:
        return (
            refund(found)
            if found.reason == instruction.reference
            else unknown("reference_mismatch")
        )
    named = marked.own(found.reference_id)
    if named is None or named[0] != instruction.charge_reference:
        return unknown("reference_mismatch")
    return acted(operation, found)


def charge(found: Movement, automatic: bool) -> Result:
    """How a charge stands."""
    status = found.status or ""
    if status == "COMPLETED" or (status == "APPROVED" and not automatic):
        return _approved(found, captured=status == "COMPLETED")
    if status in ("APPROVED", "PENDING"):
        return Result(Outcome.PENDING, found.id, detail=status.lower())
    if status == "CANCELED":
        return Result(Outcome.DECLINED, found.id, code="charge_canceled", detail="canceled")
    if status == "FAILED":
        faults = (found.card_details or Card()).errors or [Fault("", "GENERIC_DECLINE")]
        return _declined(found.id, faults[0])
    return Result(Outcome.UNKNOWN, found.id, detail=_word(status))


def acted(operation: Operation, found: Movement) -> Result:
    """How a capture or void of a payment ended."""
    status = found.status or ""
    if status in (("COMPLETED",) if operation is Operation.CAPTURE else _GONE):
        return _approved(found)
    if status in ("APPROVED", "COMPLETED", *_GONE):
        code = f"{operation}_not_allowed"
        return Result(Outcome.DECLINED, found.id, code=code, detail=status.lower())
    return Result(Outcome.UNKNOWN, found.id, detail=_word(status))


def refund(found: Movement) -> Result:
    """How a refund stands."""
    outcome = _REFUNDS.get(found.status or "", Outcome.UNKNOWN)
    if outcome is Outcome.APPROVED:
        return _approved(found)
    code = "refund_failed" if outcome is Outcome.DECLINED else None
    return Result(outcome, found.id, code=code, detail=_word(found.status))


def _approved(found: Movement, *, captured: bool = True) -> Result:
    money = found.amount_money
    amount, currency = amounts.told(PROFILE, money.amount, money.currency)
    return Result(Outcome.APPROVED, found.id, amount, currency, captured)


def _word(status: str | None) -> str:
    return parsing.word((status or "").lower()) or "unknown_status"


def _declined(known: str | None, fault: Fault) -> Result:
    reason = _REASONS.get(fault.code, "generic_decline")
    return replace(refusals.declined(known, reason), message=parsing.sentence(fault.detail))


def failure(instruction: Instruction, reply: Reply) -> Result:
    """An answer that is no success."""
    body = parsing.decode(reply.body, Answer)
    fault = None if body is None or not body.errors else body.errors[0]
    certain = 400 <= reply.status < 500 and reply.status not in (408, 409, 429)
    if body is None or fault is None or fault.category in _UNDECIDED or not certain:
        return unknown(parsing.not_answered(reply))
    if fault.code == "IDEMPOTENCY_KEY_REUSED":
        return unknown(fault.code.lower())  # an earlier try of ours has come there: look at that
    charging = instruction.operation is Operation.CHARGE
    if charging and fault.category == "PAYMENT_METHOD_ERROR":
        return _declined(None if body.payment is None else body.payment.id, fault)
    if charging and (fault.code, fault.field) == ("NOT_FOUND", "source_id"):
        return no_such_method()
    acts = instruction.operation in (Operation.CAPTURE, Operation.VOID)
    if acts and instruction.provider_ref and reply.status not in (401, 403):
        # It may have been done by an earlier try: it is looked at.
        return Result(Outcome.PENDING, instruction.provider_ref, detail="looked_at")
    return refusals.refusal(reply, fault.code.lower(), fault.detail)


def told(event: Event) -> CallbackEvent | None:
    """What an event says, if it is about something of ours."""
    found, back = event.data.object.payment, event.data.object.refund
    if back is not None and event.type.startswith("refund."):
        own = marked.own(back.reason)
        if own is None:
            return None
        return CallbackEvent(event.event_id, Operation.REFUND, own[0], back.id, refund(back))
    own = None if found is None else marked.own(found.reference_id)
    if own is None or found is None or not event.type.startswith("payment."):
        return None
    reference, held = own
    status = found.status or ""
    if held and status in ("COMPLETED", "CANCELED"):
        operation = Operation.CAPTURE if status == "COMPLETED" else Operation.VOID
        done = acted(operation, found)
        return CallbackEvent(event.event_id, operation, None, found.id, done, charge=found.id)
    now = charge(found, automatic=not held)
    result = None if now.outcome is Outcome.UNKNOWN else now
    return CallbackEvent(event.event_id, Operation.CHARGE, reference, found.id, result)
