"""Reading of the columns that rules and fees share. Pure."""

import re
from collections.abc import Mapping
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from bailiwick.base.money import CURRENCIES
from bailiwick.geo.places import Places, nearest
from bailiwick.methods import every
from bailiwick.topology.groups import place_problem, unknown
from bailiwick.topology.reading import Table
from bailiwick.topology.routes.columns import (
    DAY_MIN,
    METADATA,
    MOST,
    TIME,
    Box,
    Spans,
    Texts,
    joined,
)
from bailiwick.topology.routes.index import BIN_DIGITS
from bailiwick.topology.routes.parts import LOTS

MOST_VALUES = 10_000
MOST_AMOUNT = 10**15
MOST_METADATA = 20
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_BIN = re.compile(r"(\d{1,8})(?:-(\d{1,8}))?")
_HOURS = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-(?:([01]\d|2[0-3]):([0-5]\d)|24:00)")
_METHOD = re.compile(r"[a-z][a-z0-9_]{0,63}")
_FINGERPRINT = re.compile(r"[0-9a-f]{16}")
_CUSTOMER = re.compile(r"cus_[0-9A-Za-z]{1,64}")


class Known(msgspec.Struct, frozen=True):
    """What conditions may name: places, and the groups of the topology."""

    places: Places
    groups: Mapping[str, frozenset[str]]


class Conditions(msgspec.Struct, frozen=True):
    """A box, and its columns as they were written where that says more."""

    box: Box
    given: Mapping[str, tuple[str, ...]] = {}


def read(table: Table, known: Known) -> Conditions:
    """The columns of a rule or a fee; what is not there allows everything."""
    box: dict[str, Texts | Spans] = {}
    given: dict[str, tuple[str, ...]] = {}
    if "mode" in table.value:
        box["mode"] = Texts(frozenset((table.choice("mode", ("test", "live")),)))
    else:
        table.known.append("mode")
    places = _listed(table, "places", given)
    if places:
        box["places"] = Texts(frozenset(_places(table, places, known)))
    for name, problem in _CHECKS.items():
        values = _listed(table, name, given)
        for value in values:
            wrong = problem(value, known)
            if wrong:
                table.bad(name, wrong)
        if values:
            box[name] = Texts(frozenset(values))
    _amount(table, box)
    bins = _listed(table, "bins", given)
    if bins:
        box["bins"] = joined(span for text in bins for span in _bins(table, text))
    if "percent" in table.value:
        share = table.ratio("percent", 1.0, most=100)
        box["lot"] = Spans(((0, max(1, round(share * LOTS / 100))),))
    else:
        table.known.append("percent")
    _metadata(table, box)
    _time(table, box)
    return Conditions(box, given)


def _listed(table: Table, name: str, given: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
    if name not in table.value:
        table.known.append(name)
        return ()
    given[name] = table.texts(name, most=MOST_VALUES)
    return given[name]


def _places(table: Table, places: tuple[str, ...], known: Known) -> set[str]:
    found: set[str] = set()
    for place in places:
        kind, _, name = place.partition(":")
        if kind == "group" and name:
            if name not in known.groups:
                table.bad("places", unknown("group", name, known.groups))
            found |= known.groups.get(name, frozenset())
            continue
        problem = place_problem(place, known.places)
        if problem:
            table.bad("places", problem)
        found.add(place)
    return found


def _currency(value: str, known: Known) -> str | None:
    if value in CURRENCIES:
        return None
    return f"'{value[:20]}' is no currency; write an ISO 4217 code in capitals, such as EUR"


def _method(value: str, known: Known) -> str | None:
    if not _METHOD.fullmatch(value):
        return f"'{value[:40]}' is no type of payment methods, such as card"
    # Channels from outside bring types of their own: only what looks like a slip is refused.
    slip = value not in every() and nearest(value, every())
    return f"no type of payment methods is '{value}'; did you mean '{slip}'?" if slip else None


def _country(value: str, known: Known) -> str | None:
    return None if value in known.places.countries else known.places.explain_country(value)


def _fingerprint(value: str, known: Known) -> str | None:
    if _FINGERPRINT.fullmatch(value):
        return None
    return f"'{value[:40]}' is no fingerprint: 16 small hexadecimal digits, as the API shows them"


def _customer(value: str, known: Known) -> str | None:
    return (
        None if _CUSTOMER.fullmatch(value) else f"'{value[:40]}' is no id of a customer (cus_...)"
    )


_CHECKS = {
    "currencies": _currency,
    "methods": _method,
    "issuer_countries": _country,
    "fingerprints": _fingerprint,
    "customers": _customer,
}


def _amount(table: Table, box: dict[str, Texts | Spans]) -> None:
    low = table.whole("amount_from", 0, MOST_AMOUNT, 0)
    high = table.whole("amount_below", 1, MOST, MOST)
    named = [name for name in ("amount_from", "amount_below") if name in table.value]
    if not named:
        return
    if "currencies" not in table.value:
        table.bad(named[0], "is in minor units, which differ: name the currencies, too")
    if low >= high:
        table.bad(named[-1], "amount_below must be above amount_from; no payment is between")
    box["amount"] = Spans(((low, high),))


def _bins(table: Table, text: str) -> list[tuple[int, int]]:
    found = _BIN.fullmatch(text)
    if not found:
        table.bad("bins", f"'{text[:40]}' is no beginning of card numbers: '51', '400000-400099'")
        return []
    low, high = found[1], found[2] or found[1]
    if len(low) != len(high) or low > high:
        table.bad("bins", f"'{text}' must run upwards, with as many digits on both sides")
        return []
    width = 10 ** (BIN_DIGITS - len(low))
    return [(int(low) * width, (int(high) + 1) * width)]


def _metadata(table: Table, box: dict[str, Texts | Spans]) -> None:
    metadata = table.table("metadata")
    if len(metadata.value) > MOST_METADATA:
        table.bad("metadata", f"has more than {MOST_METADATA} keys")
        return
    for key, value in metadata.value.items():
        if isinstance(value, str):
            box[METADATA + key] = Texts(frozenset((value,)))
        else:
            box[METADATA + key] = Texts(frozenset(metadata.texts(key, most=MOST_VALUES)))


def _time(table: Table, box: dict[str, Texts | Spans]) -> None:
    given: dict[str, tuple[str, ...]] = {}
    days, hours = _listed(table, "days", given), _listed(table, "hours", given)
    zone = table.text("zone", "")
    if not days and not hours:
        if zone:
            table.bad("zone", "is of days and hours; add them, or remove it")
        return
    if not zone:
        table.bad("zone", "is missing: whose clocks? Name a zone, such as Europe/Berlin")
        return
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        table.bad(
            "zone", f"'{zone[:60]}' is no zone of the IANA table on this host (package tzdata)"
        )
        return
    on = sorted({day for text in days for day in _days(table, text)}) if days else range(7)
    at = [span for text in hours for span in _hours(table, text)] if hours else [(0, DAY_MIN)]
    week = 7 * DAY_MIN
    spans = []
    for day in on:
        for low, high in at:
            start, end = day * DAY_MIN + low, day * DAY_MIN + high
            spans.append((start, min(end, week)))
            if end > week:  # a night that ends on Monday
                spans.append((0, end - week))
    box[TIME + zone] = joined(spans)


def _days(table: Table, text: str) -> list[int]:
    first, _, last = text.partition("-")
    if first not in _DAYS or (last or first) not in _DAYS:
        table.bad("days", f"'{text[:40]}' is neither a day (mon) nor days (mon-fri)")
        return []
    low, high = _DAYS.index(first), _DAYS.index(last or first)
    return [day % 7 for day in range(low, high + 1 if high >= low else high + 8)]


def _hours(table: Table, text: str) -> list[tuple[int, int]]:
    found = _HOURS.fullmatch(text)
    if not found:
        table.bad("hours", f"'{text[:40]}' is no time of the day such as 09:00-17:30")
        return []
    low = int(found[1]) * 60 + int(found[2])
    high = DAY_MIN if found[3] is None else int(found[3]) * 60 + int(found[4])
    if low == high:
        table.bad("hours", f"'{text}' is no time at all; leave hours out for the whole day")
        return []
    return [(low, high if high > low else high + DAY_MIN)]
