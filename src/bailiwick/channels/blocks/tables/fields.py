"""Answers and callbacks, read by the places at which they have what decides something. Pure."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from types import MappingProxyType
from typing import Annotated, Any, NamedTuple

import msgspec

from bailiwick.channels.blocks import amounts, parsing
from bailiwick.channels.blocks.parsing import Id, Minor
from bailiwick.channels.contract import (
    CallbackRefused,
    Outcome,
    Profile,
    Result,
    unknown,
)

_MaybeId = Annotated[str, msgspec.Meta(max_length=255, pattern=r"^[!-~]*\Z")]
# Numbers with decimals are exact.
_ANY = msgspec.json.Decoder(float_hook=Decimal)


class Seen(msgspec.Struct, frozen=True):
    """What an object of a provider says, under names that are the same for all.

    Attributes:
        id: the provider's.
        status: the provider's word for how it stands.
        reference: ours, as the provider repeats it; ``charge``: the provider's id of the charge.
        amount: in the provider's minor units; ``major``: in whole units, with decimals.
        held, taken: of an amount in minor units, as much.
        reason, message: why it failed, as a code and for people.
        url, text, number, expires: what the payer is shown, and until when that is good.
        flag: what it says yes or no to.
        more: texts by names that the channel declares, as far as they are there.
        parts: other objects that it has in it, to be read by a shape of their own (``each``).
    """

    id: Id | None = None
    status: str | None = None
    reference: str | None = None
    charge: _MaybeId | None = None
    amount: Minor | None = None
    major: Decimal | None = None
    held: Minor | None = None
    taken: Minor | None = None
    currency: str | None = None
    reason: str | None = None
    message: str | None = None
    url: str | None = None
    text: str | None = None
    number: str | None = None
    expires: str | None = None
    flag: bool | None = None
    more: dict[str, str] = {}
    parts: list[Any] = []

    @property
    def word(self) -> str:
        """Its status as a word of ours."""
        return parsing.word((self.status or "").lower()) or "unknown_status"

    def money(self, profile: Profile, currency: str | None = None) -> tuple[int | None, str | None]:
        """Amount and currency in ours; ``currency``: that of what does not name any."""
        code = amounts.upper(self.currency or currency)
        if self.major is not None:
            return amounts.from_major(profile, self.major, code), code
        return amounts.from_provider(profile, self.amount, code), code


_OWN = frozenset(Seen.__struct_fields__) - {"more"}


class Shape(NamedTuple):
    """Where an object of a provider has what decides something.

    Attributes:
        name: what it is.
        paths: our names, each with its place: members of objects, or numbers in lists, with dots
            between. What is not there is None. With ``?`` behind it may be of any kind, and is None
            if it is no text; with ``#`` it may be a number, too, and is its text.
        needs: names of what has to be there.
        fixed: places, each with the text that has to stand there.
    """

    name: str
    paths: dict[str, str]
    needs: tuple[str, ...] = ()
    fixed: Mapping[str, str] = MappingProxyType({})

    @property
    def members(self) -> set[str]:
        """The members of the object that are looked at, or into."""
        return {path.partition(".")[0].rstrip("?#") for path in (*self.paths.values(), *self.fixed)}

    def read(self, body: bytes, at: str = "") -> Seen | None:
        """The object that a body is, or has at a place; None when it is not exactly that."""
        try:
            return self._seen(_there(_ANY.decode(body), at))
        except (msgspec.MsgspecError, ValueError, ArithmeticError, RecursionError):
            return None

    def demand(self, body: bytes, at: str = "") -> Seen:
        """The same of a callback.

        Raises:
            CallbackRefused: it is not exactly that.
        """
        found = self.read(body, at)
        if found is None:
            raise CallbackRefused(f"the callback cannot be read: there is no {self.name} in it")
        return found

    def listed(
        self, body: bytes, at: str = "", without: list[Seen] | None = None
    ) -> list[Seen] | None:
        """All that a list at a place has; None when one of them is not exactly that.
        ``without``: what stands for a list that is not there."""
        try:
            found = _there(_ANY.decode(body), at)
        except (msgspec.MsgspecError, ValueError, ArithmeticError, RecursionError):
            return None
        if found is None:
            return without
        return self.each(found) if isinstance(found, list) else None

    def each(self, found: list[Any]) -> list[Seen] | None:
        """The same of objects that are there; see ``Seen.parts``."""
        try:
            return [self._seen(each) for each in found]
        except (msgspec.MsgspecError, ValueError):
            return None

    def _seen(self, found: object) -> Seen:
        if not isinstance(found, dict):
            raise ValueError(self.name)
        given = {name: _there(found, path) for name, path in self.paths.items()}
        own = {name: value for name, value in given.items() if value is not None}
        if any(name not in own for name in self.needs):
            raise ValueError(self.name)
        if any(_there(found, path) != text for path, text in self.fixed.items()):
            raise ValueError(self.name)
        more = {name: own.pop(name) for name in list(own) if name not in _OWN}
        return msgspec.convert({**own, "more": more}, Seen)


def _there(found: object, path: str) -> object:
    """What is at a place; None: nothing. Raises ValueError: it is of another kind."""
    lenient, written, path = path.endswith("?"), path.endswith("#"), path.rstrip("?#")
    for step in path.split(".") if path else ():
        if found is None:
            return None
        if isinstance(found, dict):
            found = found.get(step)
        elif isinstance(found, list) and step.isdigit():
            found = found[int(step)] if int(step) < len(found) else None
        elif lenient:
            return None
        else:
            raise ValueError(path)
    if written and isinstance(found, int) and not isinstance(found, bool) and found >= 0:
        return str(found)
    return None if lenient and not isinstance(found, str) else found


def named(found: Seen | None, reference: str | None) -> Seen | Result:
    """An object, if it is the one with our reference."""
    if found is None or found.reference != reference:
        return unknown("unreadable" if found is None else "reference_mismatch")
    return found


def only(
    listed: Sequence[Seen] | None,
    reference: str,
    *,
    whole: bool,
    several: str = "several_listed",
    others: str = "not_listed",
) -> Seen | Result:
    """The one of a list with our reference: there is one at most. ``whole``: where it is not in the
    list, there is none. ``several``, ``others``: the detail of more than one, and of none where it
    may be elsewhere."""
    if listed is None:
        return unknown("unreadable")
    own = [each for each in listed if each.reference == reference]
    if len(own) == 1:
        return own[0]
    if own or not whole:
        return unknown(several if own else others)
    return Result(Outcome.UNKNOWN, not_found=True, detail="not_found")
