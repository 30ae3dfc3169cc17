"""Test clocks over HTTP."""

from collections.abc import Iterable
from typing import Any

from bailiwick.base.errors import ApiError
from bailiwick.base.tenancy import own
from bailiwick.idempotency.requests import Answer
from bailiwick.interlink.paging import Room
from bailiwick.records import records
from bailiwick.resources.payments import placing
from bailiwick.resources.test_clocks import OBJECT, PATH, RESOURCE, render
from bailiwick.resources.test_clocks.advancing import Advancing
from bailiwick.resources.test_clocks.commands import Clocks
from bailiwick.resources.test_clocks.params import (
    UNDONE_CREATE,
    AdvanceClock,
    CreateClock,
    ListClocks,
)
from bailiwick.serving import lists, placed_records, route
from bailiwick.serving.context import NodeContext
from bailiwick.serving.lists import Listed
from bailiwick.serving.params import Retrieve
from bailiwick.serving.route import Mounted, Request, Response, Route
from bailiwick.topology.merchants import Principal
from bailiwick.wire.answers import json_answer
from bailiwick.wire.forms import Params, struct_from

EXPANDABLE: frozenset[str] = frozenset()
TASKS = {"test_clocks": Advancing}
"""What is done without anybody asking."""


class ClockList(Route):
    """/v1/test_helpers/test_clocks"""

    def __init__(self, node: NodeContext) -> None:
        super().__init__(node)
        self._clocks = Clocks(node)

    async def on_post(self, request: Request, response: Response) -> None:
        """Create, at the node with jurisdiction over the place of its customers-to-be."""
        node = self.node
        who = _in_test_mode(route.principal(request, node))
        params, wish = await route.checked(request, CreateClock, UNDONE_CREATE)
        route.check_expand(wish.expand, EXPANDABLE)
        asked = route.asked(request, who, "create_test_clock", "", params, wish.expand)
        location = placing.located(node, who, wish.location)
        assignment, otherwise = placing.here(node, request, asked, location)

        async def work() -> Answer:
            if otherwise is not None:
                return await placed_records.known(node, asked, otherwise)
            return await self._clocks.create(asked, wish, location, assignment)

        await self.answer(response, asked, work)

    async def on_get(self, request: Request, response: Response) -> None:
        """A page of clocks."""
        await lists.answer(self.node, request, response, page)


class ClockItem(Route):
    """/v1/test_helpers/test_clocks/{identifier}"""

    def __init__(self, node: NodeContext) -> None:
        super().__init__(node)
        self._clocks = Clocks(node)

    async def on_get(self, request: Request, response: Response, identifier: str) -> None:
        """Retrieve; of one that was deleted, that it was."""
        who = route.principal(request, self.node)
        query = struct_from(route.query(request), Retrieve)
        route.check_expand(query.expand, EXPANDABLE)
        row = own(await records.find(self.node.store, identifier), who, OBJECT, identifier)
        if not row.id.startswith("clock_"):
            raise ApiError.missing(OBJECT, identifier)
        json_answer(response, render.clock(row))

    async def on_delete(self, request: Request, response: Response, identifier: str) -> None:
        """Delete it, its customers, and all that is known of them."""
        who = route.principal(request, self.node)
        await route.check_bare(request)
        asked = route.asked(request, who, "delete_test_clock", identifier, {}, [])
        await self.answer(response, asked, lambda: self._clocks.delete(asked, identifier))

    async def on_post_advance(self, request: Request, response: Response, identifier: str) -> None:
        """Begin to advance."""
        who = route.principal(request, self.node)
        params, wish = await route.checked(request, AdvanceClock)
        route.check_expand(wish.expand, EXPANDABLE)
        asked = route.asked(request, who, "advance_test_clock", identifier, params, wish.expand)
        await self.answer(response, asked, lambda: self._clocks.advance(asked, identifier, wish))


def _in_test_mode(who: Principal) -> Principal:
    if who.livemode:
        raise ApiError.invalid(
            "Test clocks are for test mode: use a test key.", code="livemode_mismatch"
        )
    return who


async def page(
    node: NodeContext, who: Principal, params: Params, region: int, room: Room
) -> Listed:
    """GET /v1/test_helpers/test_clocks; ``region``: to whose access process the answer goes."""
    query = struct_from(params, ListClocks)
    lists.wishes(query, EXPANDABLE)
    part = await lists.page_of(node, who, query, RESOURCE, room)
    found, following = await records.page(node.store, "clock", who.merchant.id, who.livemode, part)
    placed_records.keep(node, region, found)
    return await lists.paged(
        query, RESOURCE, room, found, following, render.clock, lambda row: row.id
    )


async def _itself(node: NodeContext, who: Principal, identifier: str) -> Any:
    return identifier


PAYMENT_OF = {"clock": _itself}
"""By the prefix of an id, how that is found which says where it must stay."""


def routes(node: NodeContext) -> Iterable[Mounted]:
    """Where test clocks are served."""
    item = ClockItem(node)
    yield PATH, ClockList(node), ""
    yield f"{PATH}/{{identifier}}", item, ""
    yield f"{PATH}/{{identifier}}/advance", item, "advance"
