"""Readings of Stripe's answers: what its payment intents, refunds and errors mean for money."""

from msgspec.structs import replace

from bailiwick.channels.blocks import parsing, refusals, signatures, tables, words
from bailiwick.channels.blocks.tables import Seen
from bailiwick.channels.contract import (
    ON_CHARGES,
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

_WAYS = (Resolve.PROVIDER_ID, Resolve.REPLAY, Resolve.CALLBACK)
TABLES = tables.Tables.beside(__file__)
SHAPES = TABLES.shapes
SIGNED = signatures.Timestamped("stripe-signature", ("callback_secret", "callback_secret_2"))

PROFILE = Profile(
    name="stripe",
    title="Stripe",
    resolve=dict.fromkeys(ON_CHARGES, _WAYS),
    # Never used: no look-up here answers "not found".
    visibility_ms=0,
    # Keys may be pruned once they are 24 hours old; an hour is kept for clocks and the wait.
    replay_ms=23 * 3_600_000,
    currencies=tuple(TABLES.words["currencies"]),
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


def answer(instruction: Instruction, reply: Reply, *, asked: bool = False) -> Result:
    """What an answer says of what was wanted; ``asked``: it was looked up by its id."""
    operation = instruction.operation
    shape = SHAPES["refund" if operation is Operation.REFUND else "payment"]
    found = shape.read(reply.body)
    if operation in (Operation.CHARGE, Operation.REFUND):
        own = tables.named(found, instruction.reference)
        if isinstance(own, Result):
            return own
        return charge(own) if operation is Operation.CHARGE else refund(own)
    known, charge_s = instruction.provider_ref or "", instruction.charge_reference
    if found is None:
        return unknown("unreadable")
    if (known.startswith("pi_") and known != found.id) or charge_s not in (None, found.reference):
        return unknown("reference_mismatch")
    if operation is Operation.VOID:
        return _voided(found)
    capture, ours = found.more.get("capture"), instruction.reference
    if capture != ours and (found.status == "succeeded" if asked else capture is not None):
        return _undecided(found, "captured_otherwise")
    return captured(found, "captures_seen" if asked else "captures")


def listed(instruction: Instruction, reply: Reply) -> Result:
    """What the refunds of a charge say of ours; it may be on another page."""
    page = SHAPES["refund"].listed(reply.body, "data")
    own = tables.only(page, instruction.reference, whole=False)
    return own if isinstance(own, Result) else refund(own)


def charge(intent: Seen) -> Result:
    """What a payment intent says about the charge it stands for."""
    word = TABLES.word("charges", intent.status)
    if word is None or (word == "failed" and "fault" not in intent.more):
        return _undecided(intent, "undecided_status")
    if word == "failed":
        return _declined(intent)
    found = replace(intent, amount=intent.held if word == "held" else intent.taken)
    action = redirect(parsing.link(intent.url, https_only=True))
    return TABLES.stands(PROFILE, Operation.CHARGE, found, automatic=False, action=action)


def captured(intent: Seen, table: str = "captures") -> Result:
    """What a payment intent says about its capture."""
    found = replace(intent, amount=intent.taken)
    return TABLES.stands(PROFILE, Operation.CAPTURE, found, table=table, undecided="not_captured")


def refund(found: Seen) -> Result:
    """What a refund object says."""
    said = TABLES.stands(PROFILE, Operation.REFUND, found, undecided="undecided_status")
    if said.outcome is Outcome.DECLINED:
        return replace(said, code=parsing.word(found.reason) or f"refund_{found.status}")
    amount, currency = found.money(PROFILE)
    pending = said.outcome is Outcome.PENDING
    return replace(said, amount=amount, currency=currency) if pending else said


def failure(instruction: Instruction, reply: Reply) -> Result:
    """An answer other than 200 to a request that may have moved money."""
    fault, status = SHAPES["failure"].read(reply.body), reply.status
    if fault is None or not 400 <= status < 500:
        replayed = parsing.header(reply.headers, "idempotent-replayed") == "true"
        # A stored failure comes back for as long as the key lives: repeating is of no use.
        return unknown("stored_failure" if replayed else parsing.not_answered(reply))
    kind = fault.more["fault"]
    if parsing.refused(status, fault) is not None:
        return refusals.refusal(reply, kind, fault.message)
    if kind == "idempotency_error":
        return unknown("in_progress" if status == 409 else "reference_mismatch")
    if status == 402 and kind == "card_error":
        return _declined(fault)
    if status in (400, 404) and kind == "invalid_request_error":
        return _invalid(instruction, fault, reply)
    return unknown(parsing.not_answered(reply))


def _invalid(instruction: Instruction, fault: Seen, reply: Reply) -> Result:
    code = parsing.word(fault.reason)
    if code == "payment_intent_unexpected_state" and instruction.operation is not Operation.CHARGE:
        # It may be in that state because an earlier try of ours succeeded: look at it.
        return unknown("unexpected_state")
    if code == "resource_missing" and fault.more.get("param") == "payment_method":
        # Only a charge names one. What else is missing is not the payer's: the account, an intent.
        return no_such_method()
    refused = refusals.refusal(reply, code or "invalid_request", fault.message)
    return replace(refused, detail="invalid_request")


def _voided(intent: Seen) -> Result:
    if intent.status == "canceled":
        amount, currency = intent.money(PROFILE)
        return Result(Outcome.APPROVED, intent.id, amount, currency, captured=False)
    if intent.status == "succeeded":
        return Result(Outcome.DECLINED, intent.id, code="already_captured", detail="captured")
    return _undecided(intent, "not_voided")


def _undecided(found: Seen, detail: str) -> Result:
    return Result(Outcome.UNKNOWN, found.id, detail=detail)


def _declined(fault: Seen) -> Result:
    code, reason = parsing.word(fault.reason), parsing.word(fault.more.get("decline"))
    retryable = (reason or code) in words.RETRYABLE_DECLINES
    said, message = refusals.declined(fault.id, reason), parsing.sentence(fault.message)
    return replace(said, code=code or "card_declined", message=message, retryable=retryable)
