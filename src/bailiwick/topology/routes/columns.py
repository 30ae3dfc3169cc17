"""What a rule allows in one column of the table, as a set that can be cut. Pure.

A column has one value of each payment: a text, a whole number, or none. Texts are allowed one by
one, numbers in spans. ``Box`` is what a rule allows in all columns; what a column it does not name
allows is everything, none included. Boxes cut out of each other say exactly which payments reach a
rule, and which reach none.
"""

from collections.abc import Iterable, Mapping

import msgspec

TIME = "time "
"""How columns of times begin; the zone follows."""
METADATA = "metadata."
DAY_MIN = 24 * 60
ABSENT = -1
"""The number of a payment that has none; spans of rules never hold it."""
MOST = 2**62


class Texts(msgspec.Struct, frozen=True):
    """The texts named, or, with ``beside``, everything but them, no text included."""

    named: frozenset[str]
    beside: bool = False

    def without(self, other: "Texts") -> "Texts":
        """What is in this and not in the other."""
        if self.beside and other.beside:
            return Texts(other.named - self.named)
        if self.beside:
            return Texts(self.named | other.named, True)
        return Texts(self.named & other.named if other.beside else self.named - other.named)

    def within(self, other: "Texts") -> "Texts":
        """What is in both."""
        if self.beside and other.beside:
            return Texts(self.named | other.named, True)
        if self.beside:
            return Texts(other.named - self.named)
        return Texts(self.named - other.named if other.beside else self.named & other.named)

    @property
    def empty(self) -> bool:
        """Whether nothing is allowed."""
        return not self.named and not self.beside


class Spans(msgspec.Struct, frozen=True):
    """Whole numbers in half-open spans, apart and in order."""

    spans: tuple[tuple[int, int], ...]

    def without(self, other: "Spans") -> "Spans":
        """What is in this and not in the other."""
        return self.within(Spans(tuple(_between(other.spans))))

    def within(self, other: "Spans") -> "Spans":
        """What is in both."""
        found = []
        for low, high in self.spans:
            for start, end in other.spans:
                if max(low, start) < min(high, end):
                    found.append((max(low, start), min(high, end)))
        return Spans(tuple(found))

    @property
    def empty(self) -> bool:
        """Whether nothing is allowed."""
        return not self.spans


Allowed = Texts | Spans
Box = Mapping[str, Allowed]
_ANY_TEXT = Texts(frozenset(), True)
_ANY_NUMBER = Spans(((ABSENT, MOST),))
_ANY_TIME = Spans(((0, 7 * DAY_MIN),))
_EVERY: Mapping[str, Allowed] = {
    "amount": Spans(((0, MOST),)),
    "mode": Texts(frozenset({"test", "live"})),
    "lot": Spans(((0, 10_000),)),
}
"""What there is in columns that every payment has a value of."""


def joined(spans: Iterable[tuple[int, int]]) -> Spans:
    """Spans in order, those that touch made one."""
    found: list[tuple[int, int]] = []
    for low, high in sorted(spans):
        if found and low <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], high))
        else:
            found.append((low, high))
    return Spans(tuple(found))


def cut(box: Box, other: Box) -> list[Box]:
    """The parts of a box that are outside another: boxes, apart from each other."""
    if any(_within(box.get(name), allowed).empty for name, allowed in other.items()):
        return [box]
    parts: list[Box] = []
    inside = dict(box)
    for name, allowed in other.items():
        rest = _without(name, inside.get(name), allowed)
        if not rest.empty:
            parts.append({**inside, name: rest})
        inside[name] = _within(inside.get(name), allowed)
    return parts


def _between(spans: tuple[tuple[int, int], ...]) -> Iterable[tuple[int, int]]:
    start = ABSENT
    for low, high in spans:
        if start < low:
            yield start, low
        start = high
    if start < MOST:
        yield start, MOST


def _within(mine: Allowed | None, other: Allowed) -> Allowed:
    if isinstance(other, Texts):
        return other.within(mine) if isinstance(mine, Texts) else other
    return other.within(mine) if isinstance(mine, Spans) else other


def _without(name: str, mine: Allowed | None, other: Allowed) -> Allowed:
    mine = mine or _EVERY.get(name)
    if isinstance(other, Texts):
        return (mine if isinstance(mine, Texts) else _ANY_TEXT).without(other)
    if mine is None:
        mine = _ANY_TIME if name.startswith(TIME) else _ANY_NUMBER
    return mine.without(other) if isinstance(mine, Spans) else other
