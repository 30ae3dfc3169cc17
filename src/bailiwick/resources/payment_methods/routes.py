"""Payment methods over HTTP."""

import functools
from collections.abc import Iterable, Set
from typing import Any

import msgspec

from bailiwick.base.errors import ApiError
from bailiwick.base.objects import Object
from bailiwick.base.tenancy import Owner, own
from bailiwick.idempotency.requests import Answer
from bailiwick.interlink.paging import Room
from bailiwick.records import records
from bailiwick.records.record import Record
from bailiwick.resources.payment_methods import RESOURCE, render
from bailiwick.resources.payment_methods.commands import PaymentMethods
from bailiwick.resources.payment_methods.params import (
    UNDONE_ATTACH,
    UNDONE_CREATE,
    UNDONE_UPDATE,
    AttachMethod,
    CreateMethod,
    DetachMethod,
    ListMethods,
    UpdateMethod,
)
from bailiwick.resources.payments import placing
from bailiwick.serving import lists, placed_records, route
from bailiwick.serving.context import NodeContext
from bailiwick.serving.lists import Listed
from bailiwick.serving.params import Retrieve
from bailiwick.serving.route import Mounted, Request, Response, Route
from bailiwick.store.database import Store
from bailiwick.topology.merchants import Principal
from bailiwick.wire.forms import Params, struct_from


class MethodList(Route):
    """/v1/payment_methods"""

    def __init__(self, node: NodeContext) -> None:
        super().__init__(node)
        self._methods = PaymentMethods(node)

    async def on_post(self, request: Request, response: Response) -> None:
        """Create, at the node with jurisdiction over the payer's place."""
        node = self.node
        who = route.principal(request, node)
        params, wish = await route.checked(request, CreateMethod, UNDONE_CREATE)
        self.node.expansion.wished(wish.expand, RESOURCE.object)
        asked = route.asked(request, who, "create_payment_method", "", params, wish.expand)
        location = placing.located(node, who, wish.location)
        assignment, otherwise = placing.here(node, request, asked, location)

        async def work() -> Answer:
            if otherwise is not None:
                return await placed_records.known(node, asked, otherwise)
            return await self._methods.create(asked, wish, location, assignment)

        await self.answer(response, asked, work)

    async def on_get(self, request: Request, response: Response) -> None:
        """A page of payment methods."""
        await lists.answer(self.node, request, response, page)


class MethodItem(Route):
    """/v1/payment_methods/{identifier}"""

    def __init__(self, node: NodeContext) -> None:
        super().__init__(node)
        self._methods = PaymentMethods(node)

    async def on_get(self, request: Request, response: Response, identifier: str) -> None:
        """Retrieve."""
        who = route.principal(request, self.node)
        struct_from(route.query(request), Retrieve)
        row = await _owned(self.node, who, identifier)
        await route.show(self.node, request, response, who, render.payment_method(row))

    async def on_post(self, request: Request, response: Response, identifier: str) -> None:
        """Update."""
        asked, wish = await self.identified(
            request, RESOURCE, UpdateMethod, "update_payment_method", identifier, UNDONE_UPDATE
        )
        await self.answer(response, asked, lambda: self._methods.update(asked, identifier, wish))

    async def on_post_attach(self, request: Request, response: Response, identifier: str) -> None:
        """Attach to a customer."""
        asked, wish = await self.identified(
            request, RESOURCE, AttachMethod, "attach", identifier, UNDONE_ATTACH
        )
        await self.answer(
            response, asked, lambda: self._methods.attach(asked, identifier, wish.customer)
        )

    async def on_post_detach(self, request: Request, response: Response, identifier: str) -> None:
        """Detach, for ever."""
        asked, _ = await self.identified(request, RESOURCE, DetachMethod, "detach", identifier)
        await self.answer(response, asked, lambda: self._methods.detach(asked, identifier))


class OfCustomer(MethodItem):
    """/v1/customers/{identifier}/payment_methods"""

    async def on_get_list(self, request: Request, response: Response, identifier: str) -> None:
        """A page of a customer's payment methods."""
        read = functools.partial(page, customer=identifier)
        await lists.answer(self.node, request, response, read)

    async def on_get_one(
        self, request: Request, response: Response, identifier: str, method: str
    ) -> None:
        """Retrieve one of a customer's."""
        who = route.principal(request, self.node)
        struct_from(route.query(request), Retrieve)
        await _customer(self.node, who, identifier, "id")
        row = await _owned(self.node, who, method)
        if row.belongs_to != identifier or not row.active:
            raise ApiError.missing("payment_method", method, param="payment_method")
        await route.show(self.node, request, response, who, render.payment_method(row))


async def _owned(node: NodeContext, who: Principal, identifier: str) -> Record:
    row = own(await records.find(node.store, identifier), who, "payment_method", identifier)
    if not row.id.startswith("pm_"):
        raise ApiError.missing("payment_method", identifier)
    return row


async def _customer(node: NodeContext, who: Principal, identifier: str, param: str) -> Record:
    row = await records.find(node.store, identifier)
    found = own(row, who, "customer", identifier, param=param)
    if found.erased or not found.id.startswith("cus_"):
        raise ApiError.missing("customer", identifier, param=param)
    return found


async def page(
    node: NodeContext,
    who: Principal,
    params: Params,
    region: int,
    room: Room,
    *,
    customer: str | None = None,
) -> Listed:
    """GET /v1/payment_methods, or of one customer by its path; ``region``: to whose access process
    the answer goes."""
    query = struct_from(params, ListMethods)
    if customer is not None and query.customer is not None:
        raise ApiError.invalid("The path says whose they are: leave it out.", param="customer")
    fill = lists.filling(node, query, RESOURCE, who, region)
    of, listed = customer or query.customer, RESOURCE
    if of is not None:
        await _customer(node, who, of, "customer" if customer is None else "id")
    if customer is not None:
        path = f"/v1/customers/{customer}/payment_methods"
        listed = msgspec.structs.replace(RESOURCE, path=path)
    part = await lists.page_of(node, who, query, listed, room, here=of is not None)
    found, following = await records.page(
        node.store, "pm", who.merchant.id, who.livemode, part, belongs_to=of
    )
    if query.type not in (None, "card"):  # there are no others
        found, following = [], None
    placed_records.keep(node, region, found)
    return await lists.paged(
        query,
        listed,
        room,
        found,
        following,
        render.payment_method,
        lambda row: row.id,
        fill,
    )


async def load(store: Store, who: Owner, region: int, identifiers: Set[str]) -> dict[str, Object]:
    """Payment methods by their ids, as ``expand`` shows them; see ``serving.expansion.Load``."""
    found = await placed_records.seen(store, who, region, "pm", identifiers)
    return {it.id: render.payment_method(it) for it in found}


LOADS = {"payment_method": load}


async def _itself(node: NodeContext, who: Principal, identifier: str) -> Any:
    return identifier


PAYMENT_OF = {"pm": _itself}
"""By the prefix of an id, how that is found which says where it must stay."""


def routes(node: NodeContext) -> Iterable[Mounted]:
    """Where payment methods are served."""
    one, of_customer = MethodItem(node), OfCustomer(node)
    yield "/v1/payment_methods", MethodList(node), ""
    yield "/v1/payment_methods/{identifier}", one, ""
    yield "/v1/payment_methods/{identifier}/attach", one, "attach"
    yield "/v1/payment_methods/{identifier}/detach", one, "detach"
    yield "/v1/customers/{identifier}/payment_methods", of_customer, "list"
    yield "/v1/customers/{identifier}/payment_methods/{method}", of_customer, "one"
