"""Events over HTTP."""

from collections.abc import Iterable
from typing import Any

from bailiwick.base.errors import ApiError
from bailiwick.base.objects import Object
from bailiwick.interlink.paging import Room
from bailiwick.resources.events import RESOURCE, stream
from bailiwick.resources.events.params import ListEvents
from bailiwick.resources.events.retry import EventRetry
from bailiwick.resources.events.shown import bodies, event_object, find, one, types_of
from bailiwick.resources.payments.placing import keep_all
from bailiwick.serving import lists, placed_records
from bailiwick.serving.context import NodeContext
from bailiwick.serving.lists import Listed
from bailiwick.serving.params import Retrieve
from bailiwick.serving.route import NOTHING, Mounted, Reader, Request, Response, Route, check_expand
from bailiwick.store.database import following
from bailiwick.topology.merchants import Principal
from bailiwick.wire.forms import Params, struct_from


class EventList(Route):
    """/v1/events"""

    async def on_get(self, request: Request, response: Response) -> None:
        """A page of events, or a stream of them."""
        if not await stream.answer(self.node, request, response):
            await lists.answer(self.node, request, response, page)


async def retrieve(node: NodeContext, who: Principal, identifier: str, params: Params) -> Object:
    """GET /v1/events/{id}"""
    check_expand(struct_from(params, Retrieve).expand, NOTHING)
    row = await find(node, who, identifier)
    if row is None:
        raise ApiError.missing("event", identifier)
    return await one(node.machine.kinds, node.store, row)


async def page(
    node: NodeContext, who: Principal, params: Params, region: int, room: Room
) -> Listed:
    """GET /v1/events"""
    query = struct_from(params, ListEvents)
    lists.wishes(query, NOTHING)
    types = types_of(query.type, query.types)
    part = await lists.page_of(node, who, query, RESOURCE, room)
    rows = await node.store.page(
        "event",
        who.merchant.id,
        who.livemode,
        part,
        types,
        part.since_ms,
        part.until_ms,
        query.delivery_success,
    )
    subjects = {row["subject"] for row in rows}
    await keep_all(node, region, subjects)
    await placed_records.keep_all(node, region, subjects)

    kinds = node.machine.kinds
    beside = await bodies(kinds, node.store, rows)

    def shown(row: Any) -> Object:
        return event_object(kinds, row, beside)

    after = following(rows)
    return await lists.paged(query, RESOURCE, room, rows, after, shown, lambda row: row["id"])


async def _its_payment(node: NodeContext, who: Principal, identifier: str) -> str | None:
    row = await find(node, who, identifier)
    return None if row is None else str(row["subject"])


PAYMENT_OF = {"evt": _its_payment}
"""By the prefix of an id, how the payment is found that an object belongs to."""


def routes(node: NodeContext) -> Iterable[Mounted]:
    """Where events are served."""
    yield "/v1/events", EventList(node), ""
    yield "/v1/events/{identifier}", Reader(node, retrieve), ""
    yield "/v1/events/{identifier}/retry", EventRetry(node), ""
