"""What an operator may ask: parameters in, documents out."""

import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from bailiwick.base.clock import now_ms
from bailiwick.base.errors import ApiError
from bailiwick.base.ids import is_id, lowest_id
from bailiwick.overview.database import OverviewDatabase, Row
from bailiwick.overview.reader import Reader
from bailiwick.wire.forms import Params, struct_from

EVENTS_MAX = 1_000
ROWS_MAX = 1_000
TOTALS_MAX = 10_000
DAYS_MAX = 366
DAYS = 31
_END = "pi_~"
_TIME_MAX = 2**48 - 1
Id = Annotated[str, Meta(max_length=64, pattern=r"^pi_[0-9a-z]{0,26}$")]
Name = Annotated[str, Meta(min_length=1, max_length=128)]
Currency = Annotated[str, Meta(pattern=r"^[A-Za-z]{3}$")]
Number = Annotated[int, Meta(ge=1, le=65_535)]
Amount = Annotated[int, Meta(ge=0, le=10**15)]
Time = Annotated[int, Meta(ge=0, le=_TIME_MAX)]
Day = Annotated[str, Meta(pattern=r"^\d{4}-\d{2}-\d{2}$")]
State = Literal[
    "requires_payment_method", "requires_confirmation", "requires_action", "processing",
    "requires_capture", "incrementing", "capturing", "voiding", "succeeded", "canceled",
]  # fmt: skip


class FindPayments(msgspec.Struct, frozen=True):
    """``GET /overview/payments``. Amounts are minor units, times milliseconds since 1970.

    ``id`` may be the beginning of an id; ``after`` the last id of the page before.
    """

    id: Id | None = None
    merchant: Name | None = None
    state: State | None = None
    node: Number | None = None
    currency: Currency | None = None
    livemode: bool | None = None
    amount: Amount | None = None
    amount_min: Amount | None = None
    amount_max: Amount | None = None
    since_ms: Time | None = None
    until_ms: Time | None = None
    gap: bool | None = None
    after: Id | None = None
    limit: Annotated[int, Meta(ge=1, le=ROWS_MAX)] = 50


class FindTotals(msgspec.Struct, frozen=True):
    """``GET /overview/totals``: days are UTC, ``until`` included; without them the last 31."""

    since: Day | None = None
    until: Day | None = None
    merchant: Name | None = None
    node: Number | None = None
    currency: Currency | None = None
    livemode: bool | None = None


class Nothing(msgspec.Struct, frozen=True):
    """No parameters."""


async def payments(database: OverviewDatabase, params: Params) -> Any:
    """A page of payments over all nodes, newest first."""
    asked = struct_from(params, FindPayments)
    below = _END if asked.until_ms is None else lowest_id("pi", min(asked.until_ms + 1, _TIME_MAX))
    above = "pi_" if asked.since_ms is None else lowest_id("pi", asked.since_ms)
    if asked.id is not None:
        above, below = max(above, asked.id), min(below, asked.id + "~")
    if asked.after is not None:
        below = min(below, asked.after)
    found = await database.rows(
        "find_payments",
        below,
        above,
        asked.limit + 1,
        asked.merchant,
        asked.state,
        asked.node,
        None if asked.currency is None else asked.currency.upper(),
        asked.livemode,
        asked.amount if asked.amount is not None else asked.amount_min,
        asked.amount if asked.amount is not None else asked.amount_max,
        asked.gap,
    )
    page = found[: asked.limit]
    return {"object": "list", "data": page, "has_more": len(found) > asked.limit}


async def payment(database: OverviewDatabase, identifier: str, params: Params) -> Any:
    """One payment with its events. Raises ApiError (404)."""
    struct_from(params, Nothing)
    found = await database.rows("find_payment", identifier) if is_id(identifier, "pi") else []
    if not found:
        raise ApiError.missing("payment", identifier)
    events = await database.rows("events_of_payment", identifier, EVENTS_MAX)
    return {**found[0], "events": events}


async def totals(database: OverviewDatabase, params: Params) -> Any:
    """Sums by node, merchant, mode, currency, day and state."""
    asked = struct_from(params, FindTotals)
    until = _day(asked.until, "until") or datetime.datetime.now(datetime.UTC).date()
    since = _day(asked.since, "since") or until - datetime.timedelta(days=DAYS - 1)
    if not 0 <= (until - since).days < DAYS_MAX:
        raise ApiError.invalid(
            f"since and until must span 1 to {DAYS_MAX} days: ask for less at a time.",
            param="since",
        )
    found = await database.rows(
        "totals",
        lowest_id("pi", _start_ms(since)),
        lowest_id("pi", _start_ms(until + datetime.timedelta(days=1))),
        TOTALS_MAX + 1,
        asked.merchant,
        asked.node,
        None if asked.currency is None else asked.currency.upper(),
        asked.livemode,
    )
    if len(found) > TOTALS_MAX:
        raise ApiError.invalid(
            f"More than {TOTALS_MAX} sums: ask for fewer days, or one merchant.", param="since"
        )
    span = {"since": since.isoformat(), "until": until.isoformat()}
    return {"object": "totals", **span, "data": found}


def _day(text: str | None, field: str) -> datetime.date | None:
    try:
        return None if text is None else datetime.date.fromisoformat(text)
    except ValueError:
        raise ApiError.invalid(f"Invalid {field}: no such day.", param=field) from None


def _start_ms(day: datetime.date) -> int:
    midnight = datetime.datetime(day.year, day.month, day.day, tzinfo=datetime.UTC)
    return max(0, int(midnight.timestamp() * 1000))


async def lag(database: OverviewDatabase, reader: Reader, connected: bool, params: Params) -> Any:
    """How far behind each node the overview is, by its own account and by the relay's."""
    struct_from(params, Nothing)
    now = now_ms()
    known: dict[int, Row] = {row["node"]: row for row in await database.rows("lag")}
    nodes = []
    for number in sorted({*known, *reader.heard}):
        row = known.get(number, {})
        heard = reader.heard.get(number)
        last = row.get("last_event_ms")
        nodes.append(
            {
                "node": number,
                "events": row.get("events", 0),
                "last_event_ms": last,
                "last_event_age_ms": None if last is None else max(0, now - last),
                "gaps": row.get("gaps", 0),
                "gap_since_ms": row.get("gap_since_ms"),
                "relay": None if heard is None else _relay(heard.report, now - heard.at_ms),
            }
        )
    return {
        "object": "lag",
        "connected": connected,
        "pending": reader.pending,
        "rejected": reader.rejected,
        "nodes": nodes,
    }


def _relay(report: Any, age_ms: int) -> Row:
    told: Row = msgspec.to_builtins(report)
    oldest = told.pop("oldest_ms")
    lag_ms = max(0, told["at_ms"] - oldest) if oldest else 0
    del told["node"]
    return {**told, "lag_ms": lag_ms, "heard_ms_ago": max(0, age_ms)}


async def duplicates(database: OverviewDatabase, params: Params) -> Any:
    """Keys with more than one payment, and places of payments with more than one event."""
    struct_from(params, Nothing)
    keys = await database.rows("duplicates", ROWS_MAX)
    places = await database.rows("forks", ROWS_MAX)
    for row in keys:
        row["payments"] = msgspec.json.decode(row["payments"] or "[]")
    for row in places:
        row["events"] = msgspec.json.decode(row["events"] or "[]")
    return {"object": "duplicates", "keys": keys, "forks": places}
