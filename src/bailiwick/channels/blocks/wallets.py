"""Charges whose payers come by themselves, within a time, and how they are given up. Pure."""

import tomllib
from pathlib import Path
from typing import NamedTuple

import msgspec

from bailiwick.channels.blocks import parsing, refusals
from bailiwick.channels.contract import (
    Act,
    Action,
    CannotExpress,
    Instruction,
    Operation,
    Outcome,
    Profile,
    Result,
    unknown,
)

_SOONEST_MS = 60_000


def until(profile: Profile, instruction: Instruction) -> int:
    """Until when the payer may come, to be told to a provider that gives one a minute at least.

    Raises:
        CannotExpress: that is too soon, or not known: or it could be paid when nobody waits for it
            any more.
    """
    given, context = instruction.expires_ms, instruction.context
    if given is None or context is None or given - context.instant_ms < _SOONEST_MS:
        raise CannotExpress(
            f"{profile.title} gives a payer a minute at least; nothing was sent. Send a later "
            "expires_at.",
            param="payment_method_data[expires_at]",
        )
    return given


def is_over(instruction: Instruction, by_ms: int = 0) -> bool:
    """Whether the payer's time had run out, so long ago, when the instruction, or a look-up, was
    permitted."""
    until, context = instruction.expires_ms, instruction.context
    return until is not None and context is not None and until + by_ms <= context.instant_ms


def waits(instruction: Instruction, known: str | None = None) -> Result:
    """The payer has to go on at the phone that showed the code."""
    action = Action(Act.WAIT, expires_ms=instruction.expires_ms)
    return Result(Outcome.PENDING, known, action=action, detail="waits_for_payer")


def made(instruction: Instruction, action: Action | None, known: str | None = None) -> Result:
    """The provider waits for the payer, who has to be told what to do."""
    if action is None:
        return unknown("unreadable")
    action = msgspec.structs.replace(action, expires_ms=instruction.expires_ms)
    return Result(Outcome.PENDING, known, action=action, detail="made")


def expired(known: str | None) -> Result:
    """The provider has closed the charge, and nobody paid."""
    code = "payment_intent_payment_attempt_expired"
    return Result(Outcome.DECLINED, known, code=code, detail="closed")


def absent() -> Result:
    """A look-up that finds nothing of the operation; of a void, its charge goes on as before."""
    return Result(Outcome.UNKNOWN, not_found=True, detail="not_found")


def gone(instruction: Instruction) -> Result:
    """A void that is done."""
    amount, currency = instruction.amount, instruction.currency
    return Result(Outcome.APPROVED, None, amount, currency, captured=False)


class Codes(NamedTuple):
    """A provider's codes by which nothing was done, as far as that is certain: by operation, our
    word for it, and theirs. They lie in ``codes.toml`` beside the channel."""

    known: dict[str, dict[str, str]]

    @classmethod
    def beside(cls, module: str) -> "Codes":
        """Those of the channel whose module's file this is."""
        found = tomllib.loads(Path(module).with_name("codes.toml").read_text("utf-8"))
        return cls(
            {
                operation: {code: word for word, codes in words.items() for code in codes}
                for operation, words in found.items()
            }
        )

    def refused(self, operation: Operation, code: str | None, message: str | None) -> Result:
        """What a code says of an operation: unknown, unless it is one of these."""
        word = self.known.get(operation.value, {}).get(code or "")
        if word is None:
            return unknown(parsing.word((code or "").lower()) or "unreadable")
        sentence = parsing.sentence(message)
        if operation is Operation.CHARGE:
            return msgspec.structs.replace(refusals.declined(None, word), message=sentence)
        return Result(Outcome.DECLINED, code=word, message=sentence, detail="refused")
