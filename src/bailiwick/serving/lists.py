"""Lists: which page is asked for, and how much of it there is room for."""

import functools
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import falcon.asgi
import msgspec

from bailiwick.admission.turns import Breather
from bailiwick.base.objects import Object, encode
from bailiwick.base.objects import page as list_object
from bailiwick.interlink import paging
from bailiwick.interlink.paging import Room
from bailiwick.interlink.resource import Resource
from bailiwick.serving import route
from bailiwick.serving.context import NodeContext
from bailiwick.serving.params import SECONDS_MAX, ListQuery, Moment, Span
from bailiwick.store.database import HIGHEST_ID, LOWEST_ID, Page
from bailiwick.topology.merchants import Principal
from bailiwick.wire.answers import json_answer
from bailiwick.wire.forms import Params, struct_from

PIECE_BYTES = 32 * 1024
"""Of rendered objects, after which other requests go on: well below a millisecond."""
RowT = TypeVar("RowT")


Fill = Callable[[Sequence[Object]], Awaitable[None]]
"""Expands in objects."""


class Listed(msgspec.Struct, frozen=True):
    """A page, and the id of the object that comes after it."""

    page: Object
    next: str | None


Read = Callable[[NodeContext, Principal, Params, int, Room], Awaitable[Listed]]
"""One of the lists: of a node, for whom, with which parameters, in which region, how large."""


async def answer(
    node: NodeContext, request: falcon.asgi.Request, response: falcon.asgi.Response, read: Read
) -> None:
    """Answer a GET with a page."""
    who = route.principal(request, node)
    by_access = request.get_header("Bailiwick-Epoch") is not None
    room = paging.told(request.get_header(paging.HEADER), by_access=by_access)
    found = await read(node, who, route.query(request), route.region(request), room)
    if found.next is not None:
        response.set_header(paging.NEXT, found.next)
    json_answer(response, found.page)


async def page_of(
    node: NodeContext,
    who: Principal,
    query: ListQuery,
    of: Resource,
    room: Room,
    *,
    here: bool = False,
) -> Page:
    """The part of a list that a query asks for; ``here``: this node alone has objects of it.

    Raises:
        ApiError: 400, the cursor is no object of the list.
    """
    for name, cursor in paging.given(msgspec.structs.asdict(query)):
        await _check_cursor(node, who, of, name, cursor, here=here)
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
    node: NodeContext, who: Principal, of: Resource, name: str, cursor: str, *, here: bool
) -> None:
    """Refuse a cursor that is known to be nothing of the asker's. One of another node is a
    position: that node is asked for the same list, and checks it."""
    home = paging.home_of(name, of.object, of.prefix, cursor)
    if home != node.number:
        known = not here and home in node.world.topology.by_number
    else:
        known = await node.store.owned(of.table, cursor, who.merchant.id, who.livemode)
    if not known:
        raise paging.no_such(name, of.object, cursor)


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


def filling(
    node: NodeContext, query: ListQuery, of: Resource, who: Principal, region: int
) -> Fill | None:
    """What expands in a list's entries; None: nothing is to be. Raises ApiError."""
    wished = node.expansion.wished(query.expand, of.object, listed=True)
    return functools.partial(wished.fill, node.store, who, region) if wished else None


def wishes(query: route.Expanding, allowed: frozenset[str]) -> list[str]:
    """``data.x`` of a list as ``x`` of its entries."""
    wishes = [wish.removeprefix("data.") for wish in query.expand]
    route.check_expand(wishes, allowed)
    return wishes


async def paged(
    query: ListQuery,
    of: Resource,
    room: Room,
    rows: Sequence[RowT],
    following: str | None,
    shown: Callable[[RowT], Object],
    name: Callable[[RowT], str],
    fill: Fill | None = None,
) -> Listed:
    """The answer of as many rows as there is room for. ``following``: the id after the last;
    ``fill``: expands in the objects."""
    if fill is None:
        kept = await fitting(rows, shown, room)
    else:
        objects = [shown(row) for row in rows]
        await fill(objects)
        kept = await fitting(objects, lambda each: each, room)
    after = name(rows[len(kept)]) if len(kept) < len(rows) else following
    if query.ending_before is not None:
        kept.reverse()
    return Listed(list_object(kept, of.path, after is not None), after)


async def fitting(
    rows: Sequence[RowT], shown: Callable[[RowT], Object], room: Room
) -> list[msgspec.Raw]:
    """The first rows as objects, as many as there is room for."""
    kept: list[msgspec.Raw] = []
    taken, pause = 0, PIECE_BYTES
    async with Breather() as work:
        for row in rows:
            raw = encode(shown(row))
            taken += len(memoryview(raw)) + 1  # and a comma
            if taken > room.most and (kept or not room.first):
                break
            kept.append(raw)
            if taken >= pause:
                pause = taken + PIECE_BYTES
                await work.rest()
    return kept
