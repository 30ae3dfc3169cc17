"""Webhook deliveries over HTTP."""

from collections.abc import Iterable
from typing import Any

from bailiwick.base.errors import ApiError
from bailiwick.base.ids import is_id
from bailiwick.base.objects import Object
from bailiwick.base.tenancy import own
from bailiwick.delivery.tries import Try
from bailiwick.interlink.paging import Room
from bailiwick.resources.payments.placing import keep_all
from bailiwick.resources.webhook_deliveries import RESOURCE, render
from bailiwick.resources.webhook_deliveries.params import ListDeliveries
from bailiwick.serving import lists
from bailiwick.serving.context import NodeContext
from bailiwick.serving.lists import Listed
from bailiwick.serving.params import Retrieve
from bailiwick.serving.route import NOTHING, Mounted, Reader, Request, Response, Route, check_expand
from bailiwick.store.database import following
from bailiwick.topology.merchants import Principal
from bailiwick.wire.forms import Params, struct_from

_FIELDS = Try.__struct_fields__


class DeliveryList(Route):
    """/v1/webhook_deliveries"""

    async def on_get(self, request: Request, response: Response) -> None:
        """A page of tries."""
        await lists.answer(self.node, request, response, page)


async def _find(node: NodeContext, identifier: str) -> Try | None:
    row = await node.store.row("delivery_try_find", identifier)
    return None if row is None else _try(row)


def _try(row: Any) -> Try:
    return Try(*(row[name] for name in _FIELDS))


async def retrieve(node: NodeContext, who: Principal, identifier: str, params: Params) -> Object:
    """GET /v1/webhook_deliveries/{id}"""
    check_expand(struct_from(params, Retrieve).expand, NOTHING)
    found = await _find(node, identifier)
    return render.webhook_delivery(own(found, who, "webhook_delivery", identifier))


async def page(
    node: NodeContext, who: Principal, params: Params, region: int, room: Room
) -> Listed:
    """GET /v1/webhook_deliveries"""
    query = struct_from(params, ListDeliveries)
    lists.wishes(query, NOTHING)
    await _check_filters(node, who, query)
    part = await lists.page_of(node, who, query, RESOURCE, room, here=query.event is not None)
    rows = await node.store.page(
        "delivery_try",
        who.merchant.id,
        who.livemode,
        part,
        query.event,
        query.webhook_endpoint,
        query.next,
        part.since_ms,
        part.until_ms,
    )
    await keep_all(node, region, {row["subject"] for row in rows})
    after = following(rows)

    def shown(row: Any) -> Object:
        return render.webhook_delivery(_try(row))

    return await lists.paged(query, RESOURCE, room, rows, after, shown, lambda row: row["id"])


async def _check_filters(node: NodeContext, who: Principal, query: ListDeliveries) -> None:
    """Raises ApiError: 400, neither event nor endpoint is named; 404, no such one."""
    if query.event is None and query.webhook_endpoint is None:
        raise ApiError.invalid(
            "Name an event or a webhook_endpoint, whose deliveries are to be listed.",
            param="webhook_endpoint",
            code="parameter_missing",
        )
    if query.event is not None:
        known = is_id(query.event, "evt") and await node.store.owned(
            "event", query.event, who.merchant.id, who.livemode
        )
        if not known:
            raise ApiError.missing("event", query.event, param="event")
    name = query.webhook_endpoint
    if name is not None and node.endpoints.get(name) is None:
        await node.endpoints.load(node.store)  # another process of this node may have made it
    if name is not None:
        found = node.endpoints.get(name)
        own(found, who, "webhook_endpoint", name, param="webhook_endpoint")


async def _its_payment(node: NodeContext, who: Principal, identifier: str) -> str | None:
    found = await _find(node, identifier)
    return None if found is None else found.subject


PAYMENT_OF = {"whd": _its_payment}
"""By the prefix of an id, how the payment is found that an object belongs to."""


def routes(node: NodeContext) -> Iterable[Mounted]:
    """Where webhook deliveries are served."""
    yield "/v1/webhook_deliveries", DeliveryList(node), ""
    yield "/v1/webhook_deliveries/{identifier}", Reader(node, retrieve), ""
