"""Payouts at the sandbox provider: what it is sent, and how its answers are read. Pure."""

from urllib.parse import quote

import msgspec

from bailiwick.channels.blocks import amounts, parsing
from bailiwick.channels.contract import (
    PAYOUT_CANCELED,
    CallbackEvent,
    CannotExpress,
    Instruction,
    Operation,
    Outcome,
    Reply,
    Result,
    unknown,
)
from bailiwick.channels.sandbox.messages import Lookup, Payout, PayoutBody, VoidBody

ABOUT = frozenset({Operation.PAYOUT, Operation.PAYOUT_CANCEL})
"""Operations on payouts."""


def order(instruction: Instruction) -> tuple[str, msgspec.Struct]:
    """Where an operation is sent, and what. Raises CannotExpress: without the provider's id."""
    if instruction.operation is Operation.PAYOUT:
        return "/payouts", PayoutBody(
            instruction.reference,
            instruction.amount,
            instruction.currency,
            instruction.payment_method or "",
            instruction.callback_url,
            instruction.description,
        )
    payout = instruction.provider_ref
    if payout is None:
        raise CannotExpress("The provider's id of the payout is not known; nothing was sent.")
    return f"/payouts/{quote(payout, safe='')}/cancel", VoidBody(instruction.reference)


def parse(instruction: Instruction, reply: Reply) -> Result:
    """The answer to an operation that was done."""
    payout = parsing.decode(reply.body, Payout)
    return unknown("unreadable") if payout is None else read(instruction, payout)


def read(instruction: Instruction, payout: Payout) -> Result:
    """What a payout says of an operation on it."""
    if instruction.operation is Operation.PAYOUT_CANCEL:
        if instruction.provider_ref not in (None, payout.id):
            return unknown("reference_mismatch")
        if instruction.charge_reference not in (None, payout.reference):
            return unknown("reference_mismatch")
        if payout.status != "canceled":
            return msgspec.structs.replace(unknown("not_done"), provider_ref=payout.id)
        return Result(Outcome.APPROVED, payout.id, payout.amount, amounts.upper(payout.currency))
    if payout.reference != instruction.reference:
        return unknown("reference_mismatch")
    return _sent(payout)


def _sent(payout: Payout) -> Result:
    currency = amounts.upper(payout.currency)
    if payout.status == "paid":
        return Result(Outcome.APPROVED, payout.id, payout.amount, currency)
    if payout.status in ("pending", "in_transit"):
        return Result(Outcome.PENDING, payout.id, payout.amount, currency, detail=payout.status)
    if payout.status == "canceled":
        return Result(Outcome.DECLINED, payout.id, code=PAYOUT_CANCELED, detail="declined")
    if payout.status == "failed":
        why = payout.failure
        return Result(
            Outcome.DECLINED,
            payout.id,
            code=(None if why is None else parsing.word(why.code)) or "could_not_process",
            message=None if why is None else parsing.sentence(why.message),
            detail="declined",
        )
    return msgspec.structs.replace(unknown("unknown_status"), provider_ref=payout.id)


def read_lookup(instruction: Instruction, found: Lookup) -> Result:
    """What a look-up says of an operation on a payout."""
    return unknown("unreadable") if found.payout is None else read(instruction, found.payout)


def notice(event: str, body: bytes, *, dated: bool) -> CallbackEvent | None:
    """A callback about a payout; None: it cannot be read.

    It says that something has changed, and the provider is asked what: payouts go through several
    states, callbacks overtake each other, and an older one must not undo what came later.
    """
    told = parsing.decode(body, Payout)
    if told is None:
        return None
    return CallbackEvent(event, Operation.PAYOUT, told.reference, told.id, dated=dated)
