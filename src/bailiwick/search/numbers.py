"""Sets of whole numbers as spans: what clauses about a number leave. Pure."""

from collections.abc import Iterable

LOWEST, HIGHEST = -(2**53) - 1, 2**53 + 1
Spans = tuple[tuple[int, int], ...]
"""Sorted, apart from each other, both ends included."""
ALL: Spans = ((LOWEST, HIGHEST),)
NONE: Spans = ()


def compared(operator: str, value: int) -> Spans:
    """The numbers for which a comparison with ``value`` holds."""
    low, high = {
        ":": (value, value),
        ">": (value + 1, HIGHEST),
        ">=": (value, HIGHEST),
        "<": (LOWEST, value - 1),
        "<=": (LOWEST, value),
    }[operator]
    return ((low, high),) if low <= high else NONE


def beside(spans: Spans) -> Spans:
    """All other numbers."""
    found = []
    low = LOWEST
    for first, last in spans:
        if low < first:
            found.append((low, first - 1))
        low = last + 1
    if low <= HIGHEST:
        found.append((low, HIGHEST))
    return tuple(found)


def either(one: Spans, other: Spans) -> Spans:
    """The numbers of one or the other."""
    found: list[tuple[int, int]] = []
    for low, high in sorted((*one, *other)):
        if found and low <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(found[-1][1], high))
        else:
            found.append((low, high))
    return tuple(found)


def both(one: Spans, other: Spans) -> Spans:
    """The numbers of both."""
    return beside(either(beside(one), beside(other)))


def ends(spans: Spans) -> tuple[int, int]:
    """The least and the greatest number; for none at all, a span that is empty."""
    return (spans[0][0], spans[-1][1]) if spans else (HIGHEST, LOWEST)


def scaled(spans: Iterable[tuple[int, int]], by: int) -> Spans:
    """Spans of a unit that is so many times smaller: seconds as milliseconds, by 1,000."""
    return tuple((low * by, high * by + by - 1) for low, high in spans)
