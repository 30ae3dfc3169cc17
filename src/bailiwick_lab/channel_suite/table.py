"""What every channel can do, as one table: made from what the channels declare, and from nothing
else. ``bailiwick channel table`` prints it, the documentation shows it, and the checks of the
channels hold each of its rows against the channel."""

import json
import textwrap
from collections.abc import Iterable, Iterator

import msgspec

from bailiwick.channels import registry
from bailiwick.channels.contract import Operation, Profile, Takes
from bailiwick.methods import every
from bailiwick_lab.channel_suite.cases import FILE

ALL = "all"
_OF_HOLDS = frozenset({Operation.INCREMENT, Operation.CAPTURE})
_SHOWN_MAX = 4
"""Codes that a row names; of more it says how many there are."""


class Row(msgspec.Struct, frozen=True):
    """One way in which one channel takes one type of payment method.

    Attributes:
        by: the family: how the payer meets the provider.
        needs: what has to be known of the payer.
        operations: what can be done, by this type.
        currencies: ISO 4217 codes; empty: all.
        countries: of payers, ISO 3166-1 alpha-2 codes; empty: all.
        holds: money can be held by it, and captured later.
        judges: of the channel: what holds it against something that nobody here wrote.
    """

    channel: str
    title: str
    method: str
    by: str
    needs: tuple[str, ...]
    operations: tuple[str, ...]
    currencies: tuple[str, ...]
    countries: tuple[str, ...]
    holds: bool
    judges: tuple[str, ...]


def rows(names: Iterable[str] | None = None) -> Iterator[Row]:
    """The rows of some channels, or of all.

    Raises:
        LookupError: an unknown name.
        registry.BadChannel: what is installed under a name is no channel.
    """
    for name in registry.names() if names is None else names:
        profile = registry.channel(name).profile
        judges = judges_of(name)
        for method, ways in profile.methods.items():
            for takes in ways:
                yield _row(profile, method, takes, judges)


def judges_of(name: str) -> tuple[str, ...]:
    """The judges that a channel names in its cases."""
    file = registry.folder(name) / FILE
    if not file.is_file():
        return ()
    return tuple(json.loads(file.read_text(encoding="utf-8")).get("judges", ()))


def currencies(profile: Profile, method: str, takes: Takes) -> tuple[str, ...]:
    """In which currencies a type is taken in one way; none: in all that there are."""
    known = every().get(method)
    only = takes.currencies or (() if known is None else known.currencies)
    if profile.currencies is None:
        return only
    return tuple(each for each in profile.currencies if not only or each in only)


def operations(profile: Profile, takes: Takes) -> tuple[Operation, ...]:
    """What can be done with what is taken so."""
    return tuple(each for each in profile.resolve if takes.holds or each not in _OF_HOLDS)


def _row(profile: Profile, method: str, takes: Takes, judges: tuple[str, ...]) -> Row:
    known = every().get(method)
    return Row(
        profile.name,
        profile.title,
        method,
        takes.family.value,
        takes.needs,
        tuple(str(each) for each in operations(profile, takes)),
        currencies(profile, method, takes),
        () if known is None else tuple(sorted(known.payers)),
        takes.holds and profile.manual_capture,
        judges,
    )


HEADINGS = ("Channel", "Method", "By", "Operations", "Currencies", "Payers in")


def cells(row: Row) -> tuple[str, ...]:
    """A row as people read it, under ``HEADINGS``."""
    return (
        row.channel,
        row.method,
        row.by.replace("_", " "),
        ", ".join(each.replace("_", " ") for each in row.operations),
        _codes(row.currencies),
        _codes(row.countries),
    )


def full(found: list[Row]) -> Iterator[tuple[str, ...]]:
    """The rows under ``HEADINGS`` with every code, for programs."""
    for row in found:
        yield (*cells(row)[:4], " ".join(row.currencies) or ALL, " ".join(row.countries) or ALL)


def _codes(codes: tuple[str, ...]) -> str:
    if not codes:
        return ALL
    return " ".join(codes) if len(codes) <= _SHOWN_MAX else str(len(codes))


def text(found: list[Row]) -> Iterator[str]:
    """The table for a terminal: the operations of each channel, and its ways below."""
    lines = [_way(row) for row in found]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)] if lines else []
    name = ""
    for row, line in zip(found, lines, strict=True):
        if row.channel != name:
            if name:
                yield ""
            name = row.channel
            yield f"{row.title} ({name})"
            every_operation = operations(registry.channel(name).profile, Takes())
            told = ", ".join(str(each).replace("_", " ") for each in every_operation)
            yield from textwrap.wrap(told, 76, initial_indent="  ", subsequent_indent="  ")
        padded = (f"{cell:{width}}" for cell, width in zip(line, widths, strict=True))
        yield "    " + "  ".join(padded).rstrip()


def _way(row: Row) -> tuple[str, ...]:
    held = "" if row.holds else "no holds"
    currencies, countries = cells(row)[4:]
    return row.method, row.by.replace("_", " "), currencies, f"payers: {countries}", held


def markdown(found: list[Row]) -> str:
    """The page of the documentation."""
    parts = [_OPENING, _table(HEADINGS, map(cells, found))]
    judged = {row.channel: row.judges for row in found}
    parts += [_JUDGES, _table(("Channel", "Held against"), map(_judged, judged.items()))]
    return "\n".join(parts)


_OPENING = """# What each channel can do

Made from what the channels declare, as `bailiwick channel table` prints it (`--json`, `--csv` for
programs). The checks of the channels hold every row against the channel: each way is asked for, in
each of its currencies. `all` currencies are those of ISO 4217 that Bailiwick knows; payers are
those of the type, whom it is offered to.
"""
_JUDGES = """
## What each is held against

Nobody who wrote these has written the channel.
"""


def _judged(found: tuple[str, tuple[str, ...]]) -> tuple[str, str]:
    name, judges = found
    return name, "; ".join(judges) or "itself: the sandbox is ours"


def _table(headings: tuple[str, ...], lines: Iterable[tuple[str, ...]]) -> str:
    ruler = tuple("---" for _ in headings)
    return "".join(f"| {' | '.join(line)} |\n" for line in (headings, ruler, *lines))
