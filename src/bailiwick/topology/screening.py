"""Whom a merchant refuses, and how often anybody may try: read from ``merchants.toml``. Pure.

Three tables, for one merchant or, at the top of the file, for all: lists of whom to refuse or to
trust, limits of how often and how much, and what to make of an outside scorer's word.
"""

import ipaddress
import re
from collections.abc import Callable
from typing import Literal

import msgspec

from bailiwick.base.money import CURRENCIES
from bailiwick.geo.places import Places
from bailiwick.topology.reading import Table

By = Literal["card", "customer", "ip_address", "email", "country", "merchant"]
LISTED_BY = ("card", "customer", "ip_address", "email", "country")
COUNTED_BY = ("card", "customer", "ip_address", "email", "merchant")
MOST_LISTS = 100
MOST_VALUES = 100_000
MOST_LIMITS = 100
MOST_ATTEMPTS = 1_000_000
MOST_AMOUNT = 10**12
MOST_WITHIN_S = 31 * 86_400
MOST_DEADLINE_MS = 3_000

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_SPAN = re.compile(r"([1-9][0-9]{0,6})([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_VALUE_CHARS_MAX = 255


class Listed(msgspec.Struct, frozen=True):
    """Who is refused (``block``), or let pass without any further look (``allow``)."""

    name: str
    action: Literal["block", "allow"]
    by: By
    values: frozenset[str]


class Limit(msgspec.Struct, frozen=True):
    """How often, or how much, within any span of so many milliseconds at one node.

    ``most``: attempts, or minor units of ``currency`` where there is one.
    """

    name: str
    by: By
    within_ms: int
    most: int
    currency: str | None = None


class Scorer(msgspec.Struct, frozen=True):
    """What to make of a score from 0 to 100: from where it refuses, from where it is ``elevated``,
    and what counts if there is none in time."""

    block_from: int
    elevated_from: int
    when_late: Literal["allow", "block"]
    deadline_ms: int


class Screening(msgspec.Struct, frozen=True):
    """What is looked at before a charge of a merchant."""

    lists: tuple[Listed, ...] = ()
    limits: tuple[Limit, ...] = ()
    scorer: Scorer | None = None

    def __bool__(self) -> bool:
        return bool(self.lists or self.limits or self.scorer)


def screening(table: Table, places: Places, common: Screening) -> Screening | None:
    """What one table of the file asks for, after what is asked for all; None for nothing."""
    names = {each.name for each in common.lists} | {each.name for each in common.limits}
    found = Screening(
        common.lists + tuple(_lists(table, places, names)),
        common.limits + tuple(_limits(table, names)),
        _scorer(table) or common.scorer,
    )
    return found or None


def _lists(table: Table, places: Places, names: set[str]) -> list[Listed]:
    found = []
    for each in table.tables("lists", most=MOST_LISTS):
        by = each.choice("by", LISTED_BY)
        values = each.texts("values", most=MOST_VALUES)
        found.append(
            msgspec.convert(
                {
                    "name": _named(each, names),
                    "action": each.choice("action", ("block", "allow"), "block"),
                    "by": by,
                    "values": {_value(each, by, value, places) for value in values},
                },
                Listed,
            )
        )
        each.done()
    return found


def _value(table: Table, by: str, value: str, places: Places) -> str:
    if not 0 < len(value) <= _VALUE_CHARS_MAX:
        table.bad("values", f"each has 1 to {_VALUE_CHARS_MAX} characters")
    elif by == "country" and value not in places.countries:
        table.bad("values", places.explain_country(value))
    elif by == "ip_address" and normal("ip_address", value) is None:
        table.bad("values", f"'{value}' is not an IP address; write one without port or mask")
    return normal(by, value) or value


def _limits(table: Table, names: set[str]) -> list[Limit]:
    found = []
    for each in table.tables("velocity", most=MOST_LIMITS):
        counts = "attempts" in each.value
        if counts == ("amount" in each.value):
            each.bad("attempts", "or amount, with currency, is needed: write one of them")
        attempts = each.whole("attempts", 1, MOST_ATTEMPTS, 1)
        amount = each.whole("amount", 1, MOST_AMOUNT, 1)
        currency = each.text("currency", "")
        if counts and currency:
            each.bad("currency", "goes with amount, not with attempts; remove it")
        elif not counts and currency not in CURRENCIES:
            each.bad("currency", "must be the ISO 4217 code of what amount is in, such as EUR")
        found.append(
            msgspec.convert(
                {
                    "name": _named(each, names),
                    "by": each.choice("by", COUNTED_BY),
                    "within_ms": _within(each) * 1000,
                    "most": attempts if counts else amount,
                    "currency": None if counts else currency,
                },
                Limit,
            )
        )
        each.done()
    return found


def _within(table: Table) -> int:
    """A span in seconds."""
    text = table.text("within")
    match = _SPAN.fullmatch(text)
    seconds = int(match[1]) * _SECONDS[match[2]] if match else 0
    if text and not 0 < seconds <= MOST_WITHIN_S:
        table.bad("within", "must be like 30s, 10m, 1h or 7d, and at most 31d")
    return seconds


def _scorer(table: Table) -> Scorer | None:
    if "scorer" not in table.value:
        table.known.append("scorer")
        return None
    each = table.table("scorer")
    block_from = each.whole("block_from", 1, 101, 75)
    elevated_from = each.whole("elevated_from", 0, 101, min(65, block_from))
    if elevated_from > block_from:
        each.bad("elevated_from", "must not be above block_from")
    found = msgspec.convert(
        {
            "block_from": block_from,
            "elevated_from": elevated_from,
            "when_late": each.choice("when_late", ("allow", "block")),
            "deadline_ms": each.whole("deadline_ms", 10, MOST_DEADLINE_MS, 500),
        },
        Scorer,
    )
    each.done()
    return found


def _named(table: Table, names: set[str]) -> str:
    name = table.text("name")
    if name and not _NAME.fullmatch(name):
        table.bad("name", "must be small letters, digits and '-', at most 63")
    if name in names:
        table.bad("name", f"'{name}' is used twice; charges are told which it was: rename one")
    names.add(name)
    return name


def normal(by: str, value: str) -> str | None:
    """A value as lists and limits compare it: an address of IPv6 by its network of 64 bits, a mail
    address in small letters; None for what is none."""
    return _NORMAL.get(by, str)(value)


def _address(value: str) -> str | None:
    try:
        found = ipaddress.ip_address(value.strip())
    except ValueError:
        return None
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(ipaddress.ip_network((int(found), 64), strict=False).network_address)
    return str(found)


_NORMAL: dict[str, Callable[[str], str | None]] = {
    "ip_address": _address,
    "email": lambda value: value.strip().lower(),
}
