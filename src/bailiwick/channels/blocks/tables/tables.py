"""How things stand, by a provider's words for it. Pure."""

import tomllib
from pathlib import Path
from typing import NamedTuple

from msgspec.structs import replace

from bailiwick.channels.blocks import parsing, refusals
from bailiwick.channels.blocks.tables.fields import Seen, Shape
from bailiwick.channels.contract import Action, Operation, Outcome, Profile, Result

_GONE = {"canceled": "charge_canceled", "expired": "payment_intent_payment_attempt_expired"}


class Tables(NamedTuple):
    """A provider's words and places. They lie in ``codes.toml`` beside the channel: tables of our
    words, each with theirs, and under ``fields`` one for each ``Shape``, of our names, each with
    its place; ``needs`` and ``fixed`` are the shape's own.

    ``charges``, ``captures``, ``voids`` and ``refunds`` say how these stand: ``approved``;
    ``held``, of a charge that is to be captured (else it is not yet); ``pending``; ``failed``; of a
    charge ``canceled`` and ``expired``; ``not_allowed``, of what can be done no more. What is not
    there decides nothing. ``reasons`` has decline codes, each with theirs.
    """

    words: dict[str, dict[str, str]]
    shapes: dict[str, Shape]

    @classmethod
    def beside(cls, module: str) -> "Tables":
        """Those of the channel whose module's file this is."""
        found = tomllib.loads(Path(module).with_name("codes.toml").read_text("utf-8"))
        shapes = {name: _shape(name, given) for name, given in found.pop("fields", {}).items()}
        return cls(
            {
                table: {theirs: ours for ours, all_of in words.items() for theirs in all_of}
                for table, words in found.items()
            },
            shapes,
        )

    def word(self, table: str, theirs: str | None) -> str | None:
        """Ours for a word of theirs; None: it is not in the table."""
        return self.words.get(table, {}).get(theirs or "")

    def stands(
        self,
        profile: Profile,
        operation: Operation,
        found: Seen,
        *,
        automatic: bool = True,
        action: Action | None = None,
        table: str | None = None,
        undecided: str | None = None,
    ) -> Result:
        """How a charge, capture, void or refund stands. ``action``: what the payer has to do while
        a charge is pending; ``table``: another than that of the operation; ``undecided``: the
        detail where the status decides nothing, else it is the status."""
        word, known = self.word(table or f"{operation}s", found.status), found.id
        held = word == "held" and not automatic
        if held or word == "approved":
            amount, currency = found.money(profile)
            return Result(Outcome.APPROVED, known, amount, currency, captured=not held)
        if word in ("pending", "held"):
            action = action if operation is Operation.CHARGE else None
            return Result(Outcome.PENDING, known, action=action, detail=found.word)
        if word in _GONE:
            return Result(Outcome.DECLINED, known, code=_GONE[word], detail=found.word)
        if word == "failed" and operation is Operation.CHARGE:
            return self.declined(found)
        if word is None:
            return Result(Outcome.UNKNOWN, known, detail=undecided or found.word)
        return Result(Outcome.DECLINED, known, code=f"{operation}_{word}", detail=found.word)

    def declined(self, found: Seen) -> Result:
        """A charge that has failed, for the reason that is told."""
        reason = self.word("reasons", found.reason) or "generic_decline"
        return replace(refusals.declined(found.id, reason), message=parsing.sentence(found.message))


def _shape(name: str, given: dict[str, object]) -> Shape:
    needs, fixed = given.pop("needs", []), given.pop("fixed", {})
    assert isinstance(needs, list) and isinstance(fixed, dict)
    return Shape(name, {ours: str(path) for ours, path in given.items()}, tuple(needs), fixed)
