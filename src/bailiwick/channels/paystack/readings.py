"""Readings of Paystack's answers: what its transactions, refunds and errors mean for money."""

from typing import Annotated

import msgspec
from msgspec.structs import replace

from bailiwick.channels.blocks import amounts, parsing, refusals, signatures
from bailiwick.channels.blocks.parsing import Id, Minor
from bailiwick.channels.contract import (
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

SIGNED = signatures.OfBody("x-paystack-signature", "sha512", ("api_key",))

PROFILE = Profile(
    name="paystack",
    title="Paystack",
    resolve={
        Operation.CHARGE: (Resolve.REFERENCE, Resolve.CALLBACK),
        Operation.REFUND: (Resolve.PROVIDER_ID, Resolve.REFERENCE),
    },
    visibility_ms=5_000,
    methods={"card": (Takes(needs=("email",)),)},
    currencies=("GHS", "KES", "NGN", "USD", "ZAR"),
    secret_headers=(SIGNED.header,),
    callbacks=SIGNED,
)

# A page that the payer has left may still be come back to: it is not the end of the charge.
_OPEN = ("abandoned", "ongoing", "pending", "processing", "queued")
# "reversed" is missing: the money was taken, and given back since.
_CHARGES = {
    "success": Outcome.APPROVED,
    "failed": Outcome.DECLINED,
    **dict.fromkeys(_OPEN, Outcome.PENDING),
}
_REFUNDS = {
    "processed": Outcome.APPROVED,
    "failed": Outcome.DECLINED,
    **dict.fromkeys(("needs-attention", "pending", "processing"), Outcome.PENDING),
}
_REASONS = {"insufficient funds": "insufficient_funds"}


class Movement(msgspec.Struct, frozen=True):
    """The fields of a transaction or refund that decide something. In callbacks some of the
    numbers are texts."""

    id: Annotated[int, msgspec.Meta(ge=1)] | Id | None = None
    status: str | None = None
    amount: Minor | Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,15}\Z")] | None = None
    currency: str | None = None
    reference: str | None = None
    merchant_note: str | None = None
    gateway_response: str | None = None
    paused: bool = False
    authorization_url: str | None = None


class Answer(msgspec.Struct, frozen=True):
    """The body of an answer with what was asked for."""

    status: bool
    message: str
    data: Movement | list[Movement]


class Failure(msgspec.Struct, frozen=True):
    """The body of an answer that says what is wrong."""

    status: bool
    message: str
    type: str | None = None
    code: str | None = None


class Event(msgspec.Struct, frozen=True):
    """A callback."""

    event: str
    data: msgspec.Raw


def spelt(reference: str) -> str:
    """Our reference of a charge as Paystack takes it: it allows no underscore."""
    return reference.replace("_", "-")


def own(operation: Operation, found: Movement) -> str | None:
    """Our reference on a transaction or refund. Ours have no dash."""
    if operation is Operation.REFUND:
        return found.merchant_note
    return None if found.reference is None else found.reference.replace("-", "_")


def answer(operation: Operation, reference: str, reply: Reply) -> Result:
    """What an answer with one movement, or a list of them, says of the one with our reference."""
    body = parsing.decode(reply.body, Answer)
    if reply.status != 200 or body is None or not body.status:
        return unknown(parsing.not_answered(reply))
    listed = isinstance(body.data, list)
    for found in body.data if isinstance(body.data, list) else [body.data]:
        if own(operation, found) == reference:
            return told(operation, found)
    return unknown("not_listed" if listed else "reference_mismatch")


def failure(reply: Reply) -> Result:
    """An answer other than 200 to a request that may have moved money."""
    body = parsing.decode(reply.body, Failure)
    if body is None or body.status:
        return unknown(parsing.not_answered(reply))
    if body.code == "duplicate_reference":
        return unknown(body.code)  # an earlier try of ours has come there: look at that
    # Of the other types (processor_error, api_error) the bank may have been asked already.
    sure = body.type == "validation_error" or body.code == "transaction_reversed"
    code = body.code if sure else parsing.refused(reply.status, body)
    return refusals.refusal(reply, code, body.message)


def is_absent(reply: Reply) -> bool:
    """Whether Paystack says that it has no such transaction."""
    body = parsing.decode(reply.body, Failure)
    if body is None or body.status:
        return False
    said = (reply.status, body.code or body.message)
    return said in ((400, "transaction_not_found"), (404, "Entity not found"))


def told(operation: Operation, found: Movement) -> Result:
    """What a transaction or refund says."""
    known = None if found.id is None else str(found.id)
    if found.paused and found.status is None:
        action = redirect(parsing.link(found.authorization_url, https_only=True))
        return Result(Outcome.PENDING, known, action=action, detail="paused")
    outcomes = _REFUNDS if operation is Operation.REFUND else _CHARGES
    outcome = outcomes.get(found.status or "", Outcome.UNKNOWN)
    if outcome is Outcome.DECLINED:
        return _declined(operation, known, parsing.sentence(found.gateway_response))
    given = None if found.amount is None else int(found.amount)
    amount, currency = amounts.told(PROFILE, given, found.currency)
    detail = None if outcome is Outcome.APPROVED else parsing.word(found.status) or "unknown_status"
    return Result(outcome, known, amount, currency, detail=detail)


def _declined(operation: Operation, known: str | None, said: str | None) -> Result:
    if operation is Operation.REFUND:
        return Result(Outcome.DECLINED, known, code="refund_failed", detail="failed")
    reason = _REASONS.get((said or "").lower(), "generic_decline")
    return replace(refusals.declined(known, reason), message=said)
