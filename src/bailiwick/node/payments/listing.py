"""Lists: pages of payments, refunds and events. All of it comes from the primary."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import falcon.asgi
import msgspec

from bailiwick.base.errors import ApiError
from bailiwick.base.tenancy import own
from bailiwick.interlink import paging
from bailiwick.interlink.paging import Room
from bailiwick.node import inbound
from bailiwick.node.payments import reading, render, residency
from bailiwick.node.payments.request_params import (
    SECONDS_MAX,
    ListEvents,
    ListPayments,
    ListQuery,
    ListRefunds,
    Moment,
    Span,
)
from bailiwick.node.service import Node
from bailiwick.store.database import HIGHEST_ID, LOWEST_ID, Page
from bailiwick.store.rows import Payment, Refund
from bailiwick.topology.merchants import Principal
from bailiwick.wire.answers import json_answer
from bailiwick.wire.forms import Params, struct_from

PAYMENTS, REFUNDS, EVENTS = paging.KINDS
_TABLES = {PAYMENTS: "payment", REFUNDS: "refund", EVENTS: "event"}
PAUSE_BYTES = 128 * 1024
"""Of rendered objects, after which other requests get their turn: about a millisecond."""
RowT = TypeVar("RowT")


class Listed(msgspec.Struct, frozen=True):
    """A page, and the id of the object that comes after it."""

    page: render.Object
    next: str | None


Read = Callable[[Node, Principal, Params, int, Room], Awaitable[Listed]]
"""One of the lists: of a node, for whom, with which parameters, in which region, how large."""


async def answer(
    node: Node, request: falcon.asgi.Request, response: falcon.asgi.Response, read: Read
) -> None:
    """Answer a GET with a page."""
    who = inbound.principal(request, node)
    by_access = request.get_header("Bailiwick-Epoch") is not None
    room = paging.told(request.get_header(paging.HEADER), by_access=by_access)
    found = await read(node, who, inbound.query(request), inbound.region(request), room)
    if found.next is not None:
        response.set_header(paging.NEXT, found.next)
    json_answer(response, found.page)


async def payments(node: Node, who: Principal, params: Params, region: int, room: Room) -> Listed:
    """GET /v1/payment_intents; ``region``: to whose access process the answer goes."""
    query = struct_from(params, ListPayments)
    wishes = _wishes(query, reading.OF_PAYMENT)
    page = await _page(node, who, query, PAYMENTS, room)
    rows, following = await node.store.payments(who.merchant.id, who.livemode, page, query.customer)
    residency.keep(node, region, (row.details.assignment for row in rows))
    charges = await _charges(node, rows) if "latest_charge" in wishes else {}

    def shown(row: Payment) -> render.Object:
        view = charges.get(row.charge_attempt)
        charge = None if view is None else render.charge(row, view)
        return render.payment_intent(row, charge=charge)

    return await _paged(query, PAYMENTS, room, rows, following, shown, lambda row: row.id)


async def refunds(node: Node, who: Principal, params: Params, region: int, room: Room) -> Listed:
    """GET /v1/refunds"""
    query = struct_from(params, ListRefunds)
    _wishes(query, reading.NOTHING)
    of = await _payment_of(node, who, query)
    page = await _page(node, who, query, REFUNDS, room, here=of is not None)
    rows, following = await node.store.refunds(who.merchant.id, who.livemode, page, of)
    await _keep(node, region, {row.payment for row, _ in rows})

    def shown(row: tuple[Refund, str | None]) -> render.Object:
        return render.refund_of(*row)

    return await _paged(query, REFUNDS, room, rows, following, shown, lambda row: row[0].id)


async def events(node: Node, who: Principal, params: Params, region: int, room: Room) -> Listed:
    """GET /v1/events"""
    query = struct_from(params, ListEvents)
    _wishes(query, reading.NOTHING)
    types = _types(query)
    page = await _page(node, who, query, EVENTS, room)
    rows, following = await node.store.events(who.merchant.id, who.livemode, page, types)
    await _keep(node, region, {row["payment"] for row in rows})
    return await _paged(
        query, EVENTS, room, rows, following, reading.event_object, lambda row: row["id"]
    )


async def _page(
    node: Node,
    who: Principal,
    query: ListQuery,
    url: str,
    room: Room,
    *,
    here: bool = False,
) -> Page:
    """The part of a list that a query asks for; ``here``: this node alone has objects of it.

    Raises:
        ApiError: 400, the cursor is no object of the list.
    """
    for name, cursor in paging.given(msgspec.structs.asdict(query)):
        await _check_cursor(node, who, url, name, cursor, here=here)
    since_ms, until_ms = _span(query.created)
    return Page(
        limit=query.limit,
        bytes_most=room.most,
        below=query.starting_after or HIGHEST_ID,
        above=query.ending_before or LOWEST_ID,
        oldest_first=query.ending_before is not None,
        since_ms=since_ms,
        until_ms=until_ms,
    )


async def _check_cursor(
    node: Node, who: Principal, url: str, name: str, cursor: str, *, here: bool
) -> None:
    """Refuse a cursor that is known to be nothing of the asker's. One of another node is a
    position: that node is asked for the same list, and checks it."""
    prefix, kind = paging.KINDS[url]
    home = paging.home_of(name, kind, prefix, cursor)
    if home != node.number:
        known = not here and home in node.world.topology.by_number
    else:
        known = await node.store.owned(_TABLES[url], cursor, who.merchant.id, who.livemode)
    if not known:
        raise paging.no_such(name, kind, cursor)


def _span(created: Any) -> tuple[int, int]:
    """``created`` as milliseconds from and to: a number of seconds or a range. Raises ApiError."""
    low, high = 0, SECONDS_MAX
    if isinstance(created, dict):
        span = struct_from(created, Span, prefix="created")
        low = max(span.gte or 0, 0 if span.gt is None else span.gt + 1)
        high = min(high if span.lte is None else span.lte, high if span.lt is None else span.lt - 1)
    elif created not in (None, ""):
        low = high = struct_from({"created": created}, Moment).created
    return low * 1000, high * 1000 + 999


def _wishes(query: ListQuery, allowed: frozenset[str]) -> list[str]:
    """``data.x`` of a list as ``x`` of its entries."""
    wishes = [wish.removeprefix("data.") for wish in query.expand]
    reading.check_expand(wishes, allowed)
    return wishes


def _types(query: ListEvents) -> list[str] | None:
    """Which types of events are wanted; None: all."""
    if query.type is None or query.types is None:
        one = None if query.type is None else [query.type]
        wanted = query.types or one
    else:
        raise ApiError.invalid("Only one of type and types can be given.", param="types")
    if wanted is not None and any("*" in each for each in wanted):
        raise ApiError.invalid(
            "Groups of event types (*) are not supported: name each type in types[].",
            param="type" if query.types is None else "types",
        )
    return wanted


async def _payment_of(node: Node, who: Principal, query: ListRefunds) -> str | None:
    """The payment whose refunds are wanted; None: of all.

    Raises:
        ApiError: 404, there is none such; 400, the charge is another payment's.
    """
    wanted = query.payment_intent
    if wanted is not None and not await node.store.owned(
        "payment", wanted, who.merchant.id, who.livemode
    ):
        raise ApiError.missing("payment_intent", wanted, param="payment_intent")
    if query.charge is None:
        return wanted
    attempt = own(
        await node.store.attempt(query.charge), who, "charge", query.charge, param="charge"
    )
    if attempt.operation != "charge":
        raise ApiError.missing("charge", query.charge, param="charge")
    if wanted not in (None, attempt.payment):
        raise ApiError.invalid("This charge is not one of that payment_intent.", param="charge")
    return attempt.payment


async def _keep(node: Node, region: int, payments: set[str]) -> None:
    """Raises ApiError (421) if something of these payments may not be shown in a region."""
    if not region or not payments:
        return
    found = await node.store.rows("assignments_find", list(payments))
    residency.keep(node, region, [msgspec.json.decode(row["assignment"]) for row in found])


async def _charges(node: Node, rows: Sequence[Payment]) -> dict[str | None, render.ChargeView]:
    """The charges of payments, by their ids."""
    wanted = [row.charge_attempt for row in rows if row.charge_attempt is not None]
    found = await node.store.rows("charges_find", wanted) if wanted else []
    return {row["id"]: render.charge_seen(*row) for row in found}


async def _paged(
    query: ListQuery,
    url: str,
    room: Room,
    rows: Sequence[RowT],
    following: str | None,
    shown: Callable[[RowT], render.Object],
    name: Callable[[RowT], str],
) -> Listed:
    """The answer of as many rows as there is room for. ``following``: the id after the last."""
    kept = await _fitting(rows, shown, room)
    after = name(rows[len(kept)]) if len(kept) < len(rows) else following
    if query.ending_before is not None:
        kept.reverse()
    return Listed(render.page(kept, url, after is not None), after)


async def _fitting(
    rows: Sequence[RowT], shown: Callable[[RowT], render.Object], room: Room
) -> list[msgspec.Raw]:
    """The first rows as objects, as many as there is room for."""
    kept: list[msgspec.Raw] = []
    taken, pause = 0, PAUSE_BYTES
    for row in rows:
        raw = render.encode(shown(row))
        taken += len(memoryview(raw)) + 1  # and a comma
        if taken > room.most and (kept or not room.first):
            break
        kept.append(raw)
        if taken >= pause:
            pause = taken + PAUSE_BYTES
            await asyncio.sleep(0)
    return kept
