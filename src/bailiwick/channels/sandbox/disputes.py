"""Disputes at the sandbox provider: how they are told, and what it is asked about them. Pure."""

from urllib.parse import quote

from bailiwick.channels.blocks import amounts, parsing
from bailiwick.channels.contract import (
    CallbackEvent,
    CannotExpress,
    DisputeNotice,
    Instruction,
    Operation,
    Outcome,
    Reply,
    Result,
    unknown,
)
from bailiwick.channels.sandbox.messages import Dispute, EvidenceBody, EvidenceFile, Lookup

ABOUT = frozenset({Operation.EVIDENCE, Operation.CONCEDE})
"""Operations on disputes."""


def order(instruction: Instruction) -> tuple[str, EvidenceBody]:
    """Where an operation is sent, and what. Raises CannotExpress: without the provider's id."""
    dispute = instruction.provider_ref
    if dispute is None:
        raise CannotExpress("The provider's id of the dispute is not known; nothing was sent.")
    verb = "evidence" if instruction.operation is Operation.EVIDENCE else "close"
    path = f"/disputes/{quote(dispute, safe='')}/{verb}"
    files = {
        field: EvidenceFile(each.name, each.media, each.content)
        for field, each in instruction.files.items()
    }
    return path, EvidenceBody(instruction.reference, instruction.evidence, files)


def parse(instruction: Instruction, reply: Reply) -> Result:
    """The answer to an operation that was done."""
    dispute = parsing.decode(reply.body, Dispute)
    return unknown("unreadable") if dispute is None else read(instruction, dispute)


def read(instruction: Instruction, dispute: Dispute) -> Result:
    """What a dispute says of an operation on it: the sandbox shows it once that is done."""
    if instruction.provider_ref not in (None, dispute.id):
        return unknown("reference_mismatch")
    currency = amounts.upper(dispute.currency)
    return Result(Outcome.APPROVED, dispute.id, dispute.amount, currency)


def read_lookup(instruction: Instruction, found: Lookup) -> Result:
    """What a look-up says of an operation on a dispute."""
    if found.dispute is None:
        return unknown("unreadable")
    return read(instruction, found.dispute)


def notice(event: str, body: bytes, *, dated: bool) -> CallbackEvent | None:
    """A callback about a dispute; None: it cannot be read."""
    told = parsing.decode(body, Dispute)
    if told is None:
        return None
    dispute = DisputeNotice(
        provider_ref=told.id,
        status=told.status,
        amount=told.amount,
        currency=amounts.upper(told.currency) or "",
        reason=parsing.word(told.reason) or "general",
        sequence=told.sequence,
        funds=told.funds,
        fee=told.fee,
        due_ms=told.due_at,
        past_due=told.past_due,
        submissions=told.submissions,
        refundable=told.refundable,
    )
    about = (Operation.CHARGE, told.charge_reference, told.charge)
    return CallbackEvent(event, *about, dated=dated, dispute=dispute)
