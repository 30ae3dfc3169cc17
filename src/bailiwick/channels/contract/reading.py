"""What an exchange says, and what of it is not believed. Pure."""

import msgspec

from bailiwick.channels.contract.channel import Channel
from bailiwick.channels.contract.messages import Account, Exchange, Instruction
from bailiwick.channels.contract.operations import Operation, Outcome
from bailiwick.channels.contract.profile import Profile
from bailiwick.channels.contract.results import Result, unknown

KEPT_CHARS_MAX = 8_192
"""How long all that a step has to know may be."""


def agreed(instruction: Instruction, result: Result, profile: Profile) -> Result:
    """Distrust an approval whose amount or currency is missing or not the one asked for, and
    anything definite about another currency.

    It is never booked as a success: the money may have moved, so it is unknown, and a person
    or a later definite answer decides.
    """
    if result.outcome is Outcome.UNKNOWN:
        return result
    if result.step is not None and not _may_follow(instruction, result, profile):
        return unknown("unexpected_step")
    if result.currency is not None and result.currency != instruction.currency:
        return msgspec.structs.replace(result, outcome=Outcome.UNKNOWN, detail="currency_mismatch")
    if result.outcome is not Outcome.APPROVED:
        return result
    if result.amount is None or result.currency is None:
        return msgspec.structs.replace(result, outcome=Outcome.UNKNOWN, detail="amount_missing")
    less = 0 < result.amount < instruction.amount and profile.partial_approval
    less = less and instruction.operation is not Operation.INCREMENT
    if result.amount != instruction.amount and not less:
        return msgspec.structs.replace(result, outcome=Outcome.UNKNOWN, detail="amount_mismatch")
    return result


def _may_follow(instruction: Instruction, result: Result, profile: Profile) -> bool:
    """Whether a step is one that the channel declares, of an operation that takes several, and what
    it has to know is little."""
    declared = result.outcome is Outcome.PENDING and result.step in profile.steps
    chars = sum(len(name) + len(text) for name, text in result.kept.items())
    return declared and instruction.operation is Operation.CHARGE and chars <= KEPT_CHARS_MAX


def of_same(known: str | None, result: Result) -> Result:
    """Distrust what is told of another object of the provider than the one that is known.

    The other id is not kept: it would take the known one's place.
    """
    if known is None or result.provider_ref in (None, known):
        return result
    return unknown("reference_mismatch")


def read(
    channel: Channel, instruction: Instruction, exchange: Exchange, account: Account
) -> Result:
    """What an exchange that may have reached the provider says about the instruction."""
    if exchange.reply is None:
        return unknown(exchange.error or "no_answer")
    told = channel.parse(instruction, exchange.reply, account)
    return agreed(instruction, told, channel.profile)
