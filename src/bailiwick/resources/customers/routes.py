"""Customers over HTTP."""

from collections.abc import Iterable
from typing import Any

from bailiwick.base.errors import ApiError
from bailiwick.base.objects import Object
from bailiwick.base.tenancy import own
from bailiwick.idempotency.requests import Answer
from bailiwick.interlink.paging import Room
from bailiwick.records import records
from bailiwick.records.record import Record
from bailiwick.resources.customers import RESOURCE, render
from bailiwick.resources.customers.commands import Customers, show
from bailiwick.resources.customers.params import (
    UNDONE_CREATE,
    UNDONE_UPDATE,
    CreateCustomer,
    ListCustomers,
    UpdateCustomer,
)
from bailiwick.resources.customers.search import SEARCHED, CustomerSearch
from bailiwick.resources.payments import placing
from bailiwick.serving import lists, placed_records, route
from bailiwick.serving.context import NodeContext
from bailiwick.serving.lists import Listed
from bailiwick.serving.params import Retrieve
from bailiwick.serving.route import Mounted, Request, Response, Route
from bailiwick.topology.merchants import Principal
from bailiwick.wire.answers import json_answer
from bailiwick.wire.forms import Params, struct_from

_DEFAULT = "invoice_settings.default_payment_method"
EXPANDABLE = frozenset({_DEFAULT})


class CustomerList(Route):
    """/v1/customers"""

    def __init__(self, node: NodeContext) -> None:
        super().__init__(node)
        self._customers = Customers(node)

    async def on_post(self, request: Request, response: Response) -> None:
        """Create, at the node with jurisdiction over the customer's place."""
        node = self.node
        who = route.principal(request, node)
        params, wish = await route.checked(request, CreateCustomer, UNDONE_CREATE)
        route.check_expand(wish.expand, EXPANDABLE)
        asked = route.asked(request, who, "create_customer", "", params, wish.expand)
        location = placing.located(node, who, wish.location)
        assignment, otherwise = placing.here(node, request, asked, location)

        async def work() -> Answer:
            if otherwise is not None:
                return await placed_records.known(node, asked, otherwise)
            return await self._customers.create(asked, wish, location, assignment)

        await self.answer(response, asked, work)

    async def on_get(self, request: Request, response: Response) -> None:
        """A page of customers."""
        await lists.answer(self.node, request, response, page)


class CustomerItem(Route):
    """/v1/customers/{identifier}"""

    def __init__(self, node: NodeContext) -> None:
        super().__init__(node)
        self._customers = Customers(node)

    async def on_get(self, request: Request, response: Response, identifier: str) -> None:
        """Retrieve; of one that was deleted, that it was."""
        node = self.node
        who = route.principal(request, node)
        query = struct_from(route.query(request), Retrieve)
        route.check_expand(query.expand, EXPANDABLE)
        row = _of(own(await records.find(node.store, identifier), who, "customer", identifier))
        if row.erased:
            json_answer(response, render.deleted(row.id))
        else:
            json_answer(response, await self._customers.expanded(row, query.expand))

    async def on_post(self, request: Request, response: Response, identifier: str) -> None:
        """Update."""
        who = route.principal(request, self.node)
        params, wish = await route.checked(request, UpdateCustomer, UNDONE_UPDATE)
        route.check_expand(wish.expand, EXPANDABLE)
        asked = route.asked(request, who, "update_customer", identifier, params, wish.expand)
        await self.answer(response, asked, lambda: self._customers.update(asked, identifier, wish))

    async def on_delete(self, request: Request, response: Response, identifier: str) -> None:
        """Delete, and erase."""
        who = route.principal(request, self.node)
        await route.check_bare(request)
        asked = route.asked(request, who, "delete_customer", identifier, {}, [])
        await self.answer(response, asked, lambda: self._customers.delete(asked, identifier))


def _of(row: Record) -> Record:
    if not row.id.startswith("cus_"):
        raise ApiError.missing("customer", row.id)
    return row


async def page(
    node: NodeContext, who: Principal, params: Params, region: int, room: Room
) -> Listed:
    """GET /v1/customers; ``region``: to whose access process the answer goes."""
    query = struct_from(params, ListCustomers)
    wishes = lists.wishes(query, EXPANDABLE)
    part = await lists.page_of(node, who, query, RESOURCE, room)
    found, following = await records.page(
        node.store,
        "cus",
        who.merchant.id,
        who.livemode,
        part,
        belongs_to=query.test_clock,
        found_by=query.email,
    )
    placed_records.keep(node, region, found)
    defaults = {row.details.get("default_payment_method") for row in found if wishes} - {None}
    methods = await records.find_all(node.store, {str(each) for each in defaults})

    def shown(row: Record) -> Object:
        method = methods.get(row.details.get("default_payment_method", ""))
        return render.customer(row, default_method=None if method is None else show(method))

    return await lists.paged(query, RESOURCE, room, found, following, shown, lambda row: row.id)


async def _itself(node: NodeContext, who: Principal, identifier: str) -> Any:
    return identifier


PAYMENT_OF = {"cus": _itself}
"""By the prefix of an id, how that is found which says where it must stay."""


def routes(node: NodeContext) -> Iterable[Mounted]:
    """Where customers are served."""
    yield "/v1/customers", CustomerList(node), ""
    yield SEARCHED.path, CustomerSearch(node, SEARCHED, EXPANDABLE), ""
    yield "/v1/customers/{identifier}", CustomerItem(node), ""
