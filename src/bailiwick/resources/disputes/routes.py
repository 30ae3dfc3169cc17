"""Disputes over HTTP."""

from collections.abc import Iterable

from bailiwick.base.objects import Object
from bailiwick.base.tenancy import own
from bailiwick.interlink.paging import Room
from bailiwick.orders import attempt_store
from bailiwick.resources.balance import render as balance_render
from bailiwick.resources.balance import stored as balance
from bailiwick.resources.disputes import RESOURCE, render, stored
from bailiwick.resources.disputes.commands import Disputes
from bailiwick.resources.disputes.params import (
    UNDONE_UPDATE,
    CloseDispute,
    ListDisputes,
    UpdateDispute,
)
from bailiwick.resources.disputes.rows import Dispute
from bailiwick.resources.payments.placing import keep_all
from bailiwick.resources.payments.stored import check_owned
from bailiwick.serving import lists
from bailiwick.serving.context import NodeContext
from bailiwick.serving.lists import Listed
from bailiwick.serving.params import Retrieve
from bailiwick.serving.route import Mounted, Reader, Request, Response, Route
from bailiwick.topology.merchants import Principal
from bailiwick.wire.forms import Params, struct_from


class DisputeList(Route):
    """/v1/disputes"""

    async def on_get(self, request: Request, response: Response) -> None:
        """A page of disputes."""
        await lists.answer(self.node, request, response, page)


class DisputeItem(Reader):
    """/v1/disputes/{identifier}"""

    def __init__(self, node: NodeContext) -> None:
        super().__init__(node, retrieve)
        self._disputes = Disputes(node.machine)

    async def on_post(self, request: Request, response: Response, identifier: str) -> None:
        """Gather evidence, or submit it."""
        asked, wish = await self.identified(
            request, RESOURCE, UpdateDispute, "update_dispute", identifier, UNDONE_UPDATE
        )
        await self.answer(response, asked, lambda: self._disputes.update(asked, identifier, wish))


class DisputeClose(Route):
    """/v1/disputes/{identifier}/close"""

    def __init__(self, node: NodeContext) -> None:
        super().__init__(node)
        self._disputes = Disputes(node.machine)

    async def on_post(self, request: Request, response: Response, identifier: str) -> None:
        """Accept it as lost."""
        asked, wish = await self.identified(
            request, RESOURCE, CloseDispute, "close_dispute", identifier
        )
        await self.answer(response, asked, lambda: self._disputes.close(asked, identifier, wish))


async def retrieve(node: NodeContext, who: Principal, identifier: str, params: Params) -> Object:
    """GET /v1/disputes/{id}"""
    node.expansion.wished(struct_from(params, Retrieve).expand, RESOURCE.object)
    row = own(await stored.find(node.store, identifier), who, "dispute", identifier)
    moves = await _moves(node, who, [row])
    return render.dispute(row, moves.get(row.id, []))


async def _moves(node: NodeContext, who: Principal, rows: list[Dispute]) -> dict[str, list[Object]]:
    """What disputes did to the balance, by their ids."""
    found: dict[str, list[Object]] = {}
    moved = await balance.of(node.store, (row.payment for row in rows if row.funds != "held"))
    for row in rows:
        for name in moved.get(row.id, ()):
            it = await balance.find(node.store, name, who.merchant.id, who.livemode)
            if it is not None:
                found.setdefault(row.id, []).append(balance_render.balance_transaction(it))
    return found


async def page(
    node: NodeContext, who: Principal, params: Params, region: int, room: Room
) -> Listed:
    """GET /v1/disputes"""
    query = struct_from(params, ListDisputes)
    fill = lists.filling(node, query, RESOURCE, who, region)
    of = query.payment_intent
    merchant, livemode = who.merchant.id, who.livemode
    if of is not None:
        await check_owned(node.store, who, of)
    if query.charge is not None:
        attempt = await attempt_store.find(node.store, query.charge)
        own(attempt, who, "charge", query.charge, param="charge")
    here = of is not None or query.charge is not None
    part = await lists.page_of(node, who, query, RESOURCE, room, here=here)
    found, following = await stored.page(node.store, merchant, livemode, part, of, query.charge)
    await keep_all(node, region, {row.payment for row in found})
    moves = await _moves(node, who, found)

    def shown(row: Dispute) -> Object:
        return render.dispute(row, moves.get(row.id, []))

    return await lists.paged(
        query,
        RESOURCE,
        room,
        found,
        following,
        shown,
        lambda row: row.id,
        fill,
    )


async def _its_payment(node: NodeContext, who: Principal, identifier: str) -> str | None:
    row = await stored.find(node.store, identifier)
    return None if row is None else row.payment


PAYMENT_OF = {"du": _its_payment}
"""By the prefix of an id, how the payment is found that an object belongs to."""


def routes(node: NodeContext) -> Iterable[Mounted]:
    """Where disputes are served."""
    yield "/v1/disputes", DisputeList(node), ""
    yield "/v1/disputes/{identifier}", DisputeItem(node), ""
    yield "/v1/disputes/{identifier}/close", DisputeClose(node), ""
