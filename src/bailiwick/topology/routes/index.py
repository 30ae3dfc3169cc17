"""Rules compiled for look-up: which is the first that a payment meets. Pure.

Each column knows, for each value, which rules allow it: one bit a rule. A payment's rule is the
lowest bit that all columns leave, so a thousand rules cost what ten do.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from bailiwick.topology.routes.columns import ABSENT, DAY_MIN, METADATA, TIME, Box, Spans, Texts
from bailiwick.topology.routes.parts import Facts

BIN_DIGITS = 8


class Index:
    """The boxes of a table's rules or fees, by their place in it."""

    def __init__(self, boxes: Sequence[Box]) -> None:
        every = (1 << len(boxes)) - 1
        self._every = every
        self._texts: list[tuple[Callable[[Facts], Iterable[str]], Mapping[str, int], int]] = []
        self._numbers: list[tuple[Callable[[Facts], int], list[int], list[int], int]] = []
        for column in sorted({name for box in boxes for name in box}):
            free = sum(1 << bit for bit, box in enumerate(boxes) if column not in box)
            held = [(1 << bit, box[column]) for bit, box in enumerate(boxes) if column in box]
            if isinstance(held[0][1], Texts):
                by_value: dict[str, int] = {}
                for bit, allowed in held:
                    assert isinstance(allowed, Texts)
                    for value in allowed.named:
                        by_value[value] = by_value.get(value, free) | bit
                self._texts.append((text_of(column), by_value, free))
            else:
                starts, masks = _steps([(bit, each) for bit, each in held], free)
                self._numbers.append((number_of(column), starts, masks, free))

    def met(self, facts: Facts, among: int = -1) -> int:
        """The boxes that a payment is in, one bit each; ``among``: of these alone."""
        mask = self._every & among
        for values, by_value, free in self._texts:
            found = free
            for value in values(facts):
                found |= by_value.get(value, free)
            mask &= found
            if not mask:
                return 0
        for number, starts, masks, free in self._numbers:
            known = number(facts)
            if known == ABSENT:
                mask &= free
            else:
                place = bisect_right(starts, known)
                mask &= masks[place - 1] if place else free
        return mask

    def first(self, facts: Facts, among: int = -1) -> int | None:
        """The first box that a payment is in."""
        mask = self.met(facts, among)
        return (mask & -mask).bit_length() - 1 if mask else None


def _steps(held: list[tuple[int, object]], free: int) -> tuple[list[int], list[int]]:
    """Where the set of rules changes, and what it is from there on."""
    edges: dict[int, int] = {}
    for bit, allowed in held:
        assert isinstance(allowed, Spans)
        for low, high in allowed.spans:
            edges[low] = edges.get(low, 0) ^ bit
            edges[high] = edges.get(high, 0) ^ bit
    starts, masks, mask = sorted(edges), [], free
    for start in starts:
        mask ^= edges[start]
        masks.append(mask)
    return starts, masks


def text_of(column: str) -> Callable[[Facts], Iterable[str]]:
    """How a column of texts is read of a payment: its values, none if it has none."""
    if column.startswith(METADATA):
        key = column.removeprefix(METADATA)
        return lambda facts: (facts.metadata[key],) if key in facts.metadata else ()
    return _TEXTS[column]


def number_of(column: str) -> Callable[[Facts], int]:
    """How a column of numbers is read of a payment; ABSENT if it has none."""
    if column.startswith(TIME):
        zone = ZoneInfo(column.removeprefix(TIME))
        return lambda facts: minute_of_week(facts.at_ms, zone)
    return _NUMBERS[column]


def minute_of_week(at_ms: int, zone: ZoneInfo) -> int:
    """Minutes since Monday began, by the clocks of a zone."""
    then = datetime.fromtimestamp(at_ms / 1000, zone)
    return then.weekday() * DAY_MIN + then.hour * 60 + then.minute


def place_values(facts: Facts) -> tuple[str, ...]:
    """Subdivision and country: a rule that names a country means all of it."""
    return (facts.country,) if facts.subdivision is None else (facts.subdivision, facts.country)


def bin_number(digits: str | None) -> int:
    """The first digits of a card as a number of eight; ABSENT where they are not known."""
    return ABSENT if digits is None else int(digits.ljust(BIN_DIGITS, "0"))


def _one(value: str | None) -> tuple[str, ...]:
    return () if value is None else (value,)


_TEXTS: Mapping[str, Callable[[Facts], Iterable[str]]] = {
    "mode": lambda facts: ("live" if facts.livemode else "test",),
    "places": place_values,
    "currencies": lambda facts: (facts.currency,),
    "methods": lambda facts: facts.methods,
    "issuer_countries": lambda facts: _one(facts.issuer_country),
    "fingerprints": lambda facts: _one(facts.fingerprint),
    "customers": lambda facts: _one(facts.customer),
}
_NUMBERS: Mapping[str, Callable[[Facts], int]] = {
    "amount": lambda facts: facts.amount,
    "lot": lambda facts: facts.lot,
    "bins": lambda facts: bin_number(facts.bin),
}
