"""Payouts over HTTP."""

from collections.abc import Iterable

from bailiwick.admission.load import overloaded
from bailiwick.base.errors import ApiError
from bailiwick.base.objects import Object
from bailiwick.base.tenancy import own
from bailiwick.idempotency.requests import Answer, IdempotentRequest
from bailiwick.interlink import admission_query
from bailiwick.interlink.paging import Room
from bailiwick.resources.balance import stored as balance
from bailiwick.resources.payments import placing
from bailiwick.resources.payouts import RESOURCE, render, stored
from bailiwick.resources.payouts.commands import Payouts
from bailiwick.resources.payouts.create import PayoutCreation
from bailiwick.resources.payouts.params import (
    UNDONE_CREATE,
    CancelPayout,
    CreatePayout,
    ListPayouts,
    UpdatePayout,
)
from bailiwick.resources.payouts.rows import Payout
from bailiwick.serving import lists, route
from bailiwick.serving.context import NodeContext
from bailiwick.serving.lists import Listed
from bailiwick.serving.params import Retrieve
from bailiwick.serving.route import (
    NOTHING,
    Mounted,
    Reader,
    Refusing,
    Request,
    Response,
    Route,
)
from bailiwick.topology.merchants import Principal
from bailiwick.wire.forms import Params, struct_from


class PayoutList(Route):
    """/v1/payouts"""

    def __init__(self, node: NodeContext) -> None:
        super().__init__(node)
        self._creation = PayoutCreation(node.machine)

    async def on_post(self, request: Request, response: Response) -> None:
        """Create, and send at once: at the node with jurisdiction over the destination."""
        node = self.node
        who = route.principal(request, node)
        params, wish = await route.checked(request, CreatePayout, UNDONE_CREATE)
        route.check_expand(wish.expand, NOTHING)
        _ = wish.where_to
        asked = route.asked(request, who, "create_payout", "", params, wish.expand)
        otherwise: placing.Otherwise = placing.asked_for_another(node, request)
        if otherwise is not None:
            await self._not_here(response, asked, otherwise)
            return
        location = placing.located(node, who, wish.location)
        assignment, otherwise = placing.placed(node, request, asked, wish, location)
        if otherwise is not None:
            await self._not_here(response, asked, otherwise)
            return

        async def work() -> Answer:
            return await self._creation.create(asked, wish, location, assignment)

        async def shed(reason: str) -> Answer:
            if reason == "overloaded" and not assignment.goes_on:
                raise overloaded()
            with node.load.tombstone():
                return await node.machine.tombstones.refuse(asked, reason)

        invited = request.get_header(admission_query.CAN_ASK) is not None
        await self.answer(response, asked, work, shed, seen_room=invited)

    async def _not_here(
        self, response: Response, asked: IdempotentRequest, why: str | ApiError
    ) -> None:
        await self.answer(response, asked, lambda: placing.refused_here(self.node, asked, why))

    async def on_get(self, request: Request, response: Response) -> None:
        """A page of payouts."""
        await lists.answer(self.node, request, response, page)


class PayoutItem(Reader):
    """/v1/payouts/{identifier}"""

    def __init__(self, node: NodeContext) -> None:
        super().__init__(node, retrieve)
        self._payouts = Payouts(node.machine)

    async def on_post(self, request: Request, response: Response, identifier: str) -> None:
        """Update."""
        who = route.principal(request, self.node)
        params, wish = await route.checked(request, UpdatePayout)
        route.check_expand(wish.expand, NOTHING)
        asked = route.asked(request, who, "update_payout", identifier, params, wish.expand)
        await self.answer(response, asked, lambda: self._payouts.update(asked, identifier, wish))

    async def on_post_cancel(self, request: Request, response: Response, identifier: str) -> None:
        """Cancel."""
        who = route.principal(request, self.node)
        params, wish = await route.checked(request, CancelPayout)
        route.check_expand(wish.expand, NOTHING)
        asked = route.asked(request, who, "cancel_payout", identifier, params, wish.expand)
        await self.answer(response, asked, lambda: self._payouts.cancel(asked, identifier, wish))


async def retrieve(node: NodeContext, who: Principal, identifier: str, params: Params) -> Object:
    """GET /v1/payouts/{id}"""
    route.check_expand(struct_from(params, Retrieve).expand, NOTHING)
    row = own(await stored.find(node.store, identifier), who, "payout", identifier)
    moved = await balance.of(node.store, [row.id])
    return render.payout(row, *moved.get(row.id, [])[:2])


async def page(
    node: NodeContext, who: Principal, params: Params, region: int, room: Room
) -> Listed:
    """GET /v1/payouts"""
    query = struct_from(params, ListPayouts)
    lists.wishes(query, NOTHING)
    part = await lists.page_of(node, who, query, RESOURCE, room)
    found, following = await stored.page(
        node.store,
        who.merchant.id,
        who.livemode,
        part,
        status=query.status,
        destination=query.destination,
    )
    placing.keep(node, region, (row.details.assignment for row in found))
    moved = await balance.of(node.store, (row.id for row in found))

    def shown(row: Payout) -> Object:
        return render.payout(row, *moved.get(row.id, [])[:2])

    return await lists.paged(query, RESOURCE, room, found, following, shown, lambda row: row.id)


async def _itself(node: NodeContext, who: Principal, identifier: str) -> str:
    return identifier


PAYMENT_OF = {"po": _itself}
"""By the prefix of an id, how the order is found that an object belongs to."""


def routes(node: NodeContext) -> Iterable[Mounted]:
    """Where payouts are served."""
    item = PayoutItem(node)
    yield "/v1/payouts", PayoutList(node), ""
    yield "/v1/payouts/{identifier}", item, ""
    yield "/v1/payouts/{identifier}/cancel", item, "cancel"
    yield "/v1/payouts/{identifier}/reverse", Refusing(node, RESOURCE.paths[0]), ""
