"""Customers over HTTP."""

from collections.abc import Iterable, Set
from typing import Any

from bailiwick.base.errors import ApiError
from bailiwick.base.objects import Object
from bailiwick.base.tenancy import Owner, own
from bailiwick.idempotency.requests import Answer
from bailiwick.interlink.paging import Room
from bailiwick.records import records
from bailiwick.records.record import Record
from bailiwick.resources.customers import RESOURCE, render
from bailiwick.resources.customers.commands import Customers
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
from bailiwick.store.database import Store
from bailiwick.topology.merchants import Principal
from bailiwick.wire.answers import json_answer
from bailiwick.wire.forms import Params, struct_from


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
        self.node.expansion.wished(wish.expand, RESOURCE.object)
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
        node.expansion.wished(query.expand, RESOURCE.object)
        row = _of(own(await records.find(node.store, identifier), who, "customer", identifier))
        if row.erased:
            json_answer(response, render.deleted(row.id))
        else:
            await route.show(node, request, response, who, render.customer(row))

    async def on_post(self, request: Request, response: Response, identifier: str) -> None:
        """Update."""
        asked, wish = await self.identified(
            request, RESOURCE, UpdateCustomer, "update_customer", identifier, UNDONE_UPDATE
        )
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
    fill = lists.filling(node, query, RESOURCE, who, region)
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
    return await lists.paged(
        query,
        RESOURCE,
        room,
        found,
        following,
        render.customer,
        lambda row: row.id,
        fill,
    )


async def load(store: Store, who: Owner, region: int, identifiers: Set[str]) -> dict[str, Object]:
    """Customers by their ids, as ``expand`` shows them; see ``serving.expansion.Load``."""
    found = await placed_records.seen(store, who, region, "cus", identifiers)
    return {it.id: render.deleted(it.id) if it.erased else render.customer(it) for it in found}


LOADS = {"customer": load}


async def _itself(node: NodeContext, who: Principal, identifier: str) -> Any:
    return identifier


PAYMENT_OF = {"cus": _itself}
"""By the prefix of an id, how that is found which says where it must stay."""


def routes(node: NodeContext) -> Iterable[Mounted]:
    """Where customers are served."""
    yield "/v1/customers", CustomerList(node), ""
    yield SEARCHED.path, CustomerSearch(node, SEARCHED), ""
    yield "/v1/customers/{identifier}", CustomerItem(node), ""
