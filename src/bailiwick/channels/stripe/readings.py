"""Readings of Stripe's answers: what its payment intents, refunds and errors mean for money."""

from typing import Annotated, Literal

import msgspec

from bailiwick.channels.blocks import amounts, parsing, signatures, words
from bailiwick.channels.blocks.parsing import Id, Minor
from bailiwick.channels.contract import (
    ON_CHARGES,
    Action,
    Instruction,
    Operation,
    Outcome,
    Profile,
    Reply,
    Resolve,
    Result,
    no_such_method,
    redirect,
    unknown,
)

REFERENCE = "bailiwick_reference"
CAPTURE = "bailiwick_capture"

_WAYS = (Resolve.PROVIDER_ID, Resolve.REPLAY, Resolve.CALLBACK)

# Presentment currencies of https://docs.stripe.com/currencies; which of them an account may use
# depends on its country. Withdrawn ones are left out.
_CURRENCIES = (
    "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BHD BIF BMD BND BOB BRL BSD BWP BYN BZD "
    "CAD CDF CHF CLP CNY COP CRC CVE CZK DJF DKK DOP DZD EGP ETB EUR FJD FKP GBP GEL GIP GMD "
    "GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR ISK JMD JOD JPY KES KGS KHR KMF KRW KWD KYD KZT "
    "LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK "
    "NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SEK SGD SHP SLE "
    "SOS SRD SZL THB TJS TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VND VUV WST XAF XCD XCG "
    "XOF XPF YER ZAR ZMW"
)

SIGNED = signatures.Timestamped("stripe-signature", ("callback_secret", "callback_secret_2"))

PROFILE = Profile(
    name="stripe",
    title="Stripe",
    resolve=dict.fromkeys(ON_CHARGES, _WAYS),
    # Never used: no look-up here answers "not found".
    visibility_ms=0,
    # Keys may be pruned once they are 24 hours old; an hour is kept for clocks and the wait.
    replay_ms=23 * 3_600_000,
    currencies=tuple(_CURRENCIES.split()),
    # Not as in ISO 4217: ISK and UGX are sent with two zeros, MGA in whole ariary.
    # HUF and TWD are whole in payouts only: charges have two decimals, as in ISO 4217.
    exponents={"ISK": 2, "UGX": 2, "MGA": 0},
    # Three-decimal amounts must end in 0.
    multiples={"BHD": 10, "JOD": 10, "KWD": 10, "OMR": 10, "TND": 10},
    secrets=("api_key", "callback_secret"),
    secret_headers=(SIGNED.header,),
    callbacks=SIGNED,
    shared_tokens=words.TEST_CARDS,
)

_Metadata = dict[str, Annotated[str, msgspec.Meta(max_length=500)]]


class Redirect(msgspec.Struct, frozen=True):
    """Where the payer has to go."""

    url: str | None = None


class NextAction(msgspec.Struct, frozen=True):
    """What has to happen before a payment goes on."""

    type: str | None = None
    redirect_to_url: Redirect | None = None


class Known(msgspec.Struct, frozen=True):
    """An object of which only the id matters."""

    id: Id


class Fault(msgspec.Struct, frozen=True):
    """The ``error`` of an answer, or a payment's ``last_payment_error``."""

    type: str
    code: str | None = None
    decline_code: str | None = None
    message: str | None = None
    param: str | None = None
    payment_intent: Known | None = None


class Failure(msgspec.Struct, frozen=True):
    """The body of an answer other than 200."""

    error: Fault


class Intent(msgspec.Struct, frozen=True):
    """The fields of a payment intent that decide something."""

    object: Literal["payment_intent"]
    id: Id
    status: str
    amount: Minor | None = None
    amount_capturable: Minor | None = None
    amount_received: Minor | None = None
    currency: str | None = None
    metadata: _Metadata = {}
    last_payment_error: Fault | None = None
    next_action: NextAction | None = None


class Refund(msgspec.Struct, frozen=True):
    """The fields of a refund that decide something."""

    object: Literal["refund"]
    id: Id
    status: str | None = None
    amount: Minor | None = None
    currency: str | None = None
    metadata: _Metadata = {}
    failure_reason: str | None = None


class RefundList(msgspec.Struct, frozen=True):
    """A page of refunds."""

    object: Literal["list"]
    data: list[Refund]


class EventData(msgspec.Struct, frozen=True):
    """What an event is about."""

    object: msgspec.Raw


class Event(msgspec.Struct, frozen=True):
    """An event as delivered to our callback address."""

    object: Literal["event"]
    id: Id
    type: str
    livemode: bool
    data: EventData


def answer(instruction: Instruction, intent: Intent) -> Result:
    """The answer to a charge, capture or void."""
    if instruction.operation is Operation.CHARGE:
        if intent.metadata.get(REFERENCE) != instruction.reference:
            return unknown("reference_mismatch")
        return charge(intent)
    if not _same(instruction, intent):
        return unknown("reference_mismatch")
    if instruction.operation is Operation.CAPTURE:
        if intent.metadata.get(CAPTURE, instruction.reference) != instruction.reference:
            return _undecided(intent, "captured_otherwise")
        return captured(intent)
    return _voided(intent)


def state(instruction: Instruction, intent: Intent) -> Result:
    """What a payment intent read by its id says about a charge, capture or void."""
    if instruction.operation is not Operation.CAPTURE:
        return answer(instruction, intent)
    if not _same(instruction, intent):
        return unknown("reference_mismatch")
    if intent.status == "canceled":
        return Result(Outcome.DECLINED, intent.id, code="capture_failed", detail="canceled")
    if intent.status == "succeeded" and intent.metadata.get(CAPTURE) != instruction.reference:
        return _undecided(intent, "captured_otherwise")
    return captured(intent)


def charge(intent: Intent) -> Result:
    """What a payment intent says about the charge it stands for."""
    status = intent.status
    if status == "succeeded":
        return _approved(intent, intent.amount_received, captured=True)
    if status == "requires_capture":
        return _approved(intent, intent.amount_capturable, captured=False)
    if status in ("processing", "requires_action"):
        return Result(Outcome.PENDING, intent.id, action=_action(intent), detail=status)
    if status == "requires_payment_method" and intent.last_payment_error is not None:
        return _declined(intent.last_payment_error, intent.id)
    if status == "canceled":
        return Result(Outcome.DECLINED, intent.id, code="charge_canceled", detail="canceled")
    return _undecided(intent, "undecided_status")


def captured(intent: Intent) -> Result:
    """What a payment intent says about its capture."""
    if intent.status == "succeeded":
        return _approved(intent, intent.amount_received, captured=True)
    if intent.status == "processing":
        return Result(Outcome.PENDING, intent.id, detail="processing")
    return _undecided(intent, "not_captured")


def refund(instruction: Instruction, found: Refund) -> Result:
    """What a refund object says about our refund."""
    if found.metadata.get(REFERENCE) != instruction.reference:
        return unknown("reference_mismatch")
    return refund_result(found)


def refund_result(found: Refund) -> Result:
    """What a refund object says."""
    currency = amounts.upper(found.currency)
    amount = amounts.from_provider(PROFILE, found.amount, currency)
    if found.status == "succeeded":
        return Result(Outcome.APPROVED, found.id, amount, currency)
    if found.status in ("pending", "requires_action"):
        return Result(Outcome.PENDING, found.id, amount, currency, detail=found.status)
    if found.status in ("failed", "canceled"):
        code = parsing.word(found.failure_reason) or f"refund_{found.status}"
        return Result(Outcome.DECLINED, found.id, code=code, detail=found.status)
    return msgspec.structs.replace(unknown("undecided_status"), provider_ref=found.id)


def failure(instruction: Instruction, reply: Reply) -> Result:
    """An answer other than 200 to a request that may have moved money."""
    found = parsing.decode(reply.body, Failure)
    if found is None or not 400 <= reply.status < 500:
        replayed = parsing.header(reply.headers, "idempotent-replayed") == "true"
        # A stored failure comes back for as long as the key lives: repeating is of no use.
        return unknown("stored_failure" if replayed else parsing.not_answered(reply))
    fault = found.error
    why = parsing.refused(reply.status, fault)
    if why is not None:
        message = parsing.sentence(fault.message)
        return Result(
            Outcome.DECLINED, code="processing_error", message=message, retryable=True, detail=why
        )
    if fault.type == "idempotency_error":
        in_progress = reply.status == 409
        return unknown("in_progress" if in_progress else "reference_mismatch")
    if reply.status == 402 and fault.type == "card_error":
        intent = fault.payment_intent
        return _declined(fault, intent.id if intent is not None else None)
    if reply.status in (400, 404) and fault.type == "invalid_request_error":
        return _invalid(instruction, fault)
    return unknown(parsing.not_answered(reply))


def _invalid(instruction: Instruction, fault: Fault) -> Result:
    code = parsing.word(fault.code)
    if code == "payment_intent_unexpected_state" and instruction.operation is not Operation.CHARGE:
        # It may be in that state because an earlier try of ours succeeded: look at it.
        return unknown("unexpected_state")
    if code == "resource_missing" and fault.param == "payment_method":
        # Only a charge names one. What else is missing is not the payer's: the account, an intent.
        return no_such_method()
    return Result(
        Outcome.DECLINED,
        code=code or "invalid_request",
        message=parsing.sentence(fault.message),
        detail="invalid_request",
    )


def _same(instruction: Instruction, intent: Intent) -> bool:
    known, reference = instruction.provider_ref, instruction.charge_reference
    if known is not None and known.startswith("pi_") and known != intent.id:
        return False
    return reference is None or intent.metadata.get(REFERENCE) == reference


def _voided(intent: Intent) -> Result:
    if intent.status == "canceled":
        return _approved(intent, intent.amount, captured=False)
    if intent.status == "succeeded":
        return Result(Outcome.DECLINED, intent.id, code="already_captured", detail="captured")
    return _undecided(intent, "not_voided")


def _approved(intent: Intent, amount: int | None, *, captured: bool) -> Result:
    currency = amounts.upper(intent.currency)
    ours = amounts.from_provider(PROFILE, amount, currency)
    return Result(Outcome.APPROVED, intent.id, ours, currency, captured)


def _undecided(intent: Intent, detail: str) -> Result:
    return msgspec.structs.replace(unknown(detail), provider_ref=intent.id)


def _declined(fault: Fault, provider_ref: str | None) -> Result:
    code, decline_code = parsing.word(fault.code), parsing.word(fault.decline_code)
    return Result(
        Outcome.DECLINED,
        provider_ref,
        code=code or "card_declined",
        decline_code=decline_code,
        message=parsing.sentence(fault.message),
        retryable=(decline_code or code) in words.RETRYABLE_DECLINES,
        detail="declined",
    )


def _action(intent: Intent) -> Action | None:
    action = intent.next_action
    if action is None or action.redirect_to_url is None:
        return None
    return redirect(parsing.link(action.redirect_to_url.url, https_only=True))
