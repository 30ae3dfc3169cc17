"""A bank's answer in our own terms. Pure: never raises, and what it cannot read is unknown."""

import msgspec

from bailiwick.channels.blocks import amounts, parsing, refusals
from bailiwick.channels.blocks.iso8583.codec import Message, Unreadable, unpack
from bailiwick.channels.blocks.iso8583.codes import DECLINES, NO_SUCH_CARD
from bailiwick.channels.blocks.iso8583.currencies import CODES, NUMBERS
from bailiwick.channels.blocks.iso8583.dialect import Dialect
from bailiwick.channels.contract import (
    Instruction,
    Operation,
    Outcome,
    Profile,
    Reply,
    Result,
    no_such_method,
    unknown,
)

_replace = msgspec.structs.replace


def result(profile: Profile, instruction: Instruction, asked: Message, reply: Reply) -> Result:
    """What an answer says about an instruction; ``asked``: the message that asked."""
    dialect: Dialect = profile.wire
    if reply.status != 0:
        return unknown(parsing.not_answered(reply))
    try:
        answer = unpack(dialect, reply.body)
    except Unreadable:
        return unknown("unreadable")
    if not answer.answers(asked):
        return unknown("unreadable")
    if any(answer.fields.get(each) != asked.fields[each] for each in dialect.match):
        return unknown("reference_mismatch")
    code = answer.fields.get(39, "")
    if code in dialect.approved:
        return _approved(profile, instruction, answer)
    if instruction.operation is Operation.VOID:
        return _not_reversed(dialect, instruction, code)
    if code == NO_SUCH_CARD and instruction.operation is Operation.CHARGE:
        return no_such_method()
    if code not in DECLINES:
        return unknown(f"code_{code}" if parsing.word(code) else "unreadable")
    return _declined(instruction, code)


def _approved(profile: Profile, instruction: Instruction, answer: Message) -> Result:
    charging = instruction.operation is Operation.CHARGE
    amount, currency = _money(profile, instruction, answer, needed=charging)
    if charging or instruction.operation is Operation.REFUND:
        approval = answer.fields.get(38, "")
        number = answer.fields[37]
        known: str | None = f"{number}-{approval}" if approval.strip() else number
    else:
        known = instruction.provider_ref
    captured = instruction.operation is not Operation.VOID and (
        instruction.automatic or not charging
    )
    return Result(Outcome.APPROVED, known, amount, currency, captured)


def _money(
    profile: Profile, instruction: Instruction, answer: Message, *, needed: bool
) -> tuple[int | None, str | None]:
    """Amount and currency of an answer. Banks that only confirm a capture, refund or reversal may
    leave them out: it is then the one that was asked for, by all its numbers."""
    amount, number = answer.fields.get(4), answer.fields.get(49)
    if not needed and amount is None:
        return instruction.amount, instruction.currency
    currency = CODES.get(number or "")
    same = number == NUMBERS[instruction.currency]  # which a successor may have too
    if same or (number is None and not needed):
        currency = instruction.currency
    found = amounts.from_provider(profile, None if amount is None else int(amount), currency)
    return found, currency


def _not_reversed(dialect: Dialect, instruction: Instruction, code: str) -> Result:
    if code in dialect.absent:
        if instruction.provider_ref is not None:  # a hold that is there no more
            return Result(Outcome.DECLINED, code="expired", detail="declined")
        return Result(Outcome.UNKNOWN, not_found=True, detail="not_found")
    if instruction.provider_ref is not None and code in DECLINES:
        return _declined(instruction, code)
    return unknown(f"code_{code}" if parsing.word(code) else "unreadable")


def _declined(instruction: Instruction, code: str) -> Result:
    said = f"The bank declined it with the response code {code}."
    if instruction.operation is Operation.CHARGE:
        return _replace(refusals.declined(None, DECLINES[code]), message=said)
    return Result(
        Outcome.DECLINED,
        code=f"{instruction.operation}_refused",
        decline_code=DECLINES[code],
        message=said,
        detail="declined",
    )
