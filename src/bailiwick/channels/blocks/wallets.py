"""Charges whose payers come by themselves, within a time, and how they are given up. Pure."""

import re
import tomllib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from bailiwick.base.ids import is_id
from bailiwick.channels.blocks import amounts, parsing, refusals
from bailiwick.channels.contract import (
    Act,
    Action,
    CallbackEvent,
    CannotExpress,
    Family,
    Instruction,
    Operation,
    Outcome,
    Profile,
    Result,
    unknown,
)

_SOONEST_MS = 60_000
_OURS = re.compile(r"\w+", re.ASCII)  # and so it may stand in an address


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


def may_come(profile: Profile, instruction: Instruction, families: Collection[Family]) -> bool:
    """Whether a payer may begin what the provider does not know yet, or may have begun what is not
    seen so soon. ``families``: of those it knows nothing before the payer comes."""
    over = is_over(instruction, by_ms=profile.visibility_ms)
    return instruction.family in families and not over


def not_there() -> Result:
    """A look-up finds no charge, and a payer may come."""
    return Result(Outcome.PENDING, detail="payer_not_there")


def nothing_there(
    profile: Profile, instruction: Instruction, families: Collection[Family]
) -> Result:
    """A void finds no charge: it is done when nobody may come any more."""
    may = may_come(profile, instruction, families)
    return unknown("payer_not_there") if may else gone(instruction)


def way(profile: Profile, instruction: Instruction, known: Mapping[Family, str]) -> str:
    """What the provider calls the way in which a charge is paid. Raises CannotExpress."""
    try:
        return known[instruction.family]
    except KeyError:
        raise CannotExpress(
            f"{profile.title} takes no token; nothing was sent. Leave payment_method out."
        ) from None


def charge_of(instruction: Instruction) -> str | None:
    """Our reference of the charge that is made, or acted upon."""
    charge = instruction.operation is Operation.CHARGE
    return instruction.reference if charge else instruction.charge_reference


def named(profile: Profile, instruction: Instruction, chars_max: int = 32) -> str:
    """The same, as the provider takes it: the strictest has 32 characters. Raises CannotExpress: it
    is not known, or too long."""
    own = charge_of(instruction)
    if own is None or len(own) > chars_max or _OURS.fullmatch(own) is None:
        raise CannotExpress(
            f"{profile.title} has to be told which charge it is, in {chars_max} letters and digits "
            "at most; nothing was sent."
        )
    return own


def given_back(profile: Profile, instruction: Instruction) -> tuple[int, int]:
    """What a refund gives back, and what the charge took, in the provider's minor units. Raises
    CannotExpress: either is not to be said, or not known."""
    taken = instruction.charge_amount
    if taken is None:
        raise CannotExpress(
            f"{profile.title} is told the charge's amount with a refund; it is unknown."
        )
    currency = instruction.currency
    given = amounts.to_provider(profile, instruction.amount, currency)
    return given, amounts.to_provider(profile, taken, currency)


def title(instruction: Instruction, chars_max: int, special: re.Pattern[str] | None = None) -> str:
    """What the payer sees that the charge is for. ``special``: what may not stand there."""
    given = instruction.description or ""
    given = given if special is None else special.sub(" ", given)
    return given.strip()[:chars_max] or instruction.payment or instruction.reference


class Stands(NamedTuple):
    """How a charge or a refund stands, as its provider says.

    Attributes:
        state: the provider's word for that.
        reference: ours of it, as the provider repeats it.
        known: the provider's id of it.
        amount, currency: in our minor units; without a currency it has to be asked.
        message: why it failed, for people.
    """

    state: str | None
    reference: str | None
    known: str | None
    amount: int | None = None
    currency: str | None = None
    message: str | None = None


class Said(NamedTuple):
    """An answer: its status, as HTTP has them, the provider's code where it is no success, and how
    what was asked about stands."""

    status: int
    code: str | None
    message: str | None
    stands: Stands

    @property
    def word(self) -> str:
        """The detail of an answer that decides nothing: the provider's code, or the status."""
        return parsing.word((self.code or "").lower()) or f"http_{self.status}"


class Codes(NamedTuple):
    """A provider's words, and ours for them. They lie in ``codes.toml`` beside the channel, as
    tables of our words, each with theirs.

    Tables of operations have codes by which nothing was done, as far as that is certain. In three
    more codes stand with their status: ``turned_away``, of requests that were not looked at (or a
    status by itself);
    ``waiting``, by which the payer is asked for more; ``absent``, by which a look-up finds no
    charge, or no refund. ``charges`` and ``refunds`` say how these stand: ``done``, ``waits``,
    ``failed``, ``closed``.
    """

    known: dict[str, dict[str, str]]

    @classmethod
    def beside(cls, module: str) -> "Codes":
        """Those of the channel whose module's file this is."""
        found = tomllib.loads(Path(module).with_name("codes.toml").read_text("utf-8"))
        return cls(
            {
                table: {code: word for word, codes in words.items() for code in codes}
                for table, words in found.items()
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

    def refused_by(self, operation: Operation, said: Said) -> Result:
        """The same of an answer whose status says something, too: what is no 4xx, or one by which
        it may have been done, decides nothing."""
        known, status = self.known.get("turned_away", {}), str(said.status)
        why = known.get(f"{status} {said.code}") or known.get(status)
        if why is not None:
            message = parsing.sentence(said.message)
            away = Result(Outcome.DECLINED, code="processing_error", message=message, detail=why)
            return msgspec.structs.replace(away, retryable=True)
        if not 400 <= said.status < 500 or said.status in (401, 408, 409, 429):
            return unknown(said.word)
        return self.refused(operation, said.code, said.message)

    def done(self, instruction: Instruction, said: Said) -> Result:
        """What was answered to an operation that ends at once: a code at a till, its void, a
        refund. Of a charge 202 is no failure: the payer is asked for more."""
        charge = instruction.operation is Operation.CHARGE
        if charge and self._word("waiting", f"{said.status} {said.code}") is not None:
            return waits(instruction)
        if said.status != 200 and not (charge and said.status == 202):
            return self.refused_by(instruction.operation, said)
        if not is_of(instruction, said.stands):
            return unknown("reference_mismatch")
        if instruction.operation is Operation.VOID:
            return gone(instruction)
        found = self.says(instruction.operation, said.stands)
        if charge and found.outcome is Outcome.PENDING:
            return waits(instruction, said.stands.known)
        return found

    def is_absent(self, said: Said, what: str = "charge") -> bool:
        """Whether an answer says that there is no such charge, or refund."""
        return self._word("absent", f"{said.status} {said.code}") == what

    def looked_up(self, instruction: Instruction, said: Said) -> Result:
        """What was answered to a look-up of an operation."""
        operation = instruction.operation
        if self.is_absent(said, "refund" if operation is Operation.REFUND else "charge"):
            return absent()
        if said.status != 200:
            return unknown(said.word)
        if not is_of(instruction, said.stands):
            return unknown("reference_mismatch")
        if operation is not Operation.VOID:
            return self.says(operation, said.stands)
        word = self._word("charges", said.stands.state)
        if word in ("failed", "closed"):
            return gone(instruction)
        return unknown("unknown_status") if word is None else absent()

    def says(self, operation: Operation, stands: Stands) -> Result:
        """What a charge, or a refund, says of itself."""
        refund = operation is Operation.REFUND
        word = self._word("refunds" if refund else "charges", stands.state)
        known, detail = stands.known, (stands.state or "").lower()
        if word == "waits":
            return Result(Outcome.PENDING, known, detail=detail)
        if word == "failed" and refund:
            return Result(Outcome.DECLINED, known, code="refund_failed", detail=detail)
        if word == "failed":
            failed = refusals.declined(known, "generic_decline")
            return msgspec.structs.replace(failed, message=parsing.sentence(stands.message))
        if word == "closed":
            return expired(known)
        if word != "done" or stands.currency is None:
            found = unknown("unknown_status" if word != "done" else "no_currency")
            return msgspec.structs.replace(found, provider_ref=known)
        return Result(Outcome.APPROVED, known, stands.amount, stands.currency)

    def event(
        self, operation: Operation, notice_id: str, stands: Stands, dated: bool
    ) -> CallbackEvent | None:
        """A callback about a charge or a refund of ours; None: of another use of the account. What
        it leaves unknown is asked."""
        own = stands.reference
        if own is None or not is_id(own, "ch" if operation is Operation.CHARGE else "at"):
            return None
        found = self.says(operation, stands)
        result = None if found.outcome is Outcome.UNKNOWN else found
        return CallbackEvent(notice_id, operation, own, stands.known, result, dated)

    def _word(self, table: str, theirs: str | None) -> str | None:
        return self.known.get(table, {}).get(theirs or "")


def is_of(instruction: Instruction, stands: Stands) -> bool:
    """Whether a provider names the very charge that was made or acted upon, or the very refund."""
    refund = instruction.operation is Operation.REFUND
    own = instruction.reference if refund else charge_of(instruction)
    return own is not None and own == stands.reference
