"""Charges whose payers meet the sandbox provider other than by a token: what is sent for them, what
the payer is told to do, and how one is given up by our reference alone. Pure."""

from urllib.parse import quote

import msgspec

from bailiwick.channels.blocks import amounts, parsing
from bailiwick.channels.contract import (
    Act,
    Action,
    Family,
    Instruction,
    Outcome,
    Reply,
    Result,
    Takes,
    redirect,
    unknown,
)
from bailiwick.channels.sandbox.declared import COMPLETE, PROFILE
from bailiwick.channels.sandbox.messages import (
    Charge,
    ChargeBody,
    CompletionBody,
    Lookup,
    Reversal,
    ReversalBody,
    ToDo,
)


def charge_body(instruction: Instruction) -> ChargeBody:
    """What a charge is asked for by."""
    body = ChargeBody(
        instruction.reference,
        instruction.amount,
        instruction.currency,
        instruction.payment_method or "",
        instruction.automatic,
        instruction.return_url,
        instruction.callback_url,
        instruction.description,
        instruction.overcapture,
        instruction.store,
        instruction.off_session,
        instruction.agreement,
    )
    if instruction.family is Family.TOKEN:
        return body
    return msgspec.structs.replace(
        body,
        method=instruction.payment_method_type,
        flow=instruction.family,
        code=instruction.code,
        payer=instruction.payer,
        expires_at=instruction.expires_ms,
        completes=_completes(PROFILE.takes(instruction)),
    )


def _completes(takes: Takes | None) -> str:
    """By which request of ours the charge is completed."""
    if takes is None or takes.completed_by is None:
        return ""
    return "approved" if takes.return_step is None else "returned"


def completion(instruction: Instruction) -> tuple[str, msgspec.Struct]:
    """The request that takes the money, once the payer has approved."""
    path = f"/charges/{quote(parsing.charge_id(instruction), safe='')}/complete"
    return path, CompletionBody(instruction.key, instruction.kept.get("result", ""))


def not_completed(instruction: Instruction, code: str | None) -> Result:
    """What a refused completion says: nothing of what became of the charge, unless that the payer
    has brought something else."""
    if code == "result_invalid":
        return Result(Outcome.PENDING, instruction.provider_ref, detail=code)
    return unknown("not_completed")


def approved(instruction: Instruction | None, charge: Charge) -> Result | None:
    """What is due of a charge that is completed by a request of ours: that, once the payer has
    approved, and as long as it has not happened. None: nothing, or it is over."""
    asked = instruction is not None and instruction.step == COMPLETE
    if charge.status == "approved" or (asked and charge.status == "action_required"):
        return Result(Outcome.PENDING, charge.id, detail=charge.status, step=COMPLETE)
    return None


def action(told: ToDo | None, url: str | None) -> Action | None:
    """What the payer has to do; ``url``: where to go, of an answer that says no more."""
    if told is None:
        return redirect(parsing.link(url))
    try:
        act = Act(told.type)
    except ValueError:
        return None
    where = parsing.link(told.url)
    if act is Act.REDIRECT:
        return redirect(where)
    return Action(
        act,
        where,
        told.text,
        told.number,
        told.reference,
        told.account or {},
        told.parameters or {},
        told.expires_at,
    )


def give_up(instruction: Instruction) -> tuple[str, msgspec.Struct]:
    """A void of a charge of which nothing but our reference is known."""
    return "/reversals", ReversalBody(instruction.reference, instruction.charge_reference or "")


def by_reference(instruction: Instruction) -> bool:
    """Whether a void can name its charge by nothing but our reference."""
    return instruction.provider_ref is None and instruction.charge_reference is not None


def parse(instruction: Instruction, reply: Reply) -> Result:
    """The answer to ``give_up``."""
    found = parsing.decode(reply.body, Reversal)
    if found is None:
        return unknown("unreadable")
    ours = (instruction.reference, instruction.charge_reference)
    if (found.reference, found.charge_reference) != ours:
        return unknown("reference_mismatch")
    return _read(instruction, found.charge, found.status)


def read_lookup(instruction: Instruction, found: Lookup) -> Result:
    """How it ended, looked up."""
    return _read(instruction, found.charge, found.status)


def _read(instruction: Instruction, charge: Charge | None, status: str) -> Result:
    if charge is not None and charge.reference != instruction.charge_reference:
        return unknown("reference_mismatch")
    if status != "succeeded" or (charge is not None and charge.status in _STILL_THERE):
        return unknown("not_done")
    # There may have been nothing to let go: what was asked for is gone either way.
    currency = instruction.currency if charge is None else amounts.upper(charge.currency)
    known = None if charge is None else charge.id
    return Result(Outcome.APPROVED, known, instruction.amount, currency, captured=False)


_STILL_THERE = frozenset({"authorized", "captured", "pending", "action_required", "approved"})
