"""Setups over HTTP."""

import functools
import hmac
from collections.abc import Iterable
from typing import Any

from bailiwick.base.errors import ApiError
from bailiwick.base.tenancy import own
from bailiwick.idempotency.requests import Answer
from bailiwick.interlink.paging import Room
from bailiwick.records.record import stays
from bailiwick.resources.payments import placing
from bailiwick.resources.payments.params import check_return_url
from bailiwick.resources.setup_intents import RESOURCE, render, stored
from bailiwick.resources.setup_intents.commands import Setups
from bailiwick.resources.setup_intents.params import (
    UNDONE_CONFIRM,
    UNDONE_CREATE,
    UNDONE_UPDATE,
    CancelSetup,
    ConfirmSetup,
    CreateSetup,
    ListSetups,
    RetrieveSetup,
    UpdateSetup,
    check_acceptance,
    check_create,
)
from bailiwick.resources.setup_intents.rows import Setup
from bailiwick.serving import lists, placed_records, route
from bailiwick.serving.context import NodeContext
from bailiwick.serving.lists import Listed
from bailiwick.serving.route import NOTHING, Mounted, Request, Response, Route
from bailiwick.topology.merchants import Principal
from bailiwick.wire.forms import Params, struct_from

PAYERS_ATTEMPTS_MAX = 10
"""Attempts of a setup after which a publishable key may try no more, as of a payment: a stolen list
of cards is tried out so."""


class SetupList(Route):
    """/v1/setup_intents"""

    def __init__(self, node: NodeContext) -> None:
        super().__init__(node)
        self._setups = Setups(node.machine, node.refusals.secret)

    async def on_post(self, request: Request, response: Response) -> None:
        """Create, at the node with jurisdiction over the payer's place."""
        node = self.node
        who = route.principal(request, node)
        params, wish = await route.checked(request, CreateSetup, UNDONE_CREATE)
        check_create(wish)
        node.expansion.wished(wish.expand, RESOURCE.object)
        asked = route.asked(request, who, "create_setup", "", params, wish.expand)
        location = placing.located(node, who, wish.location)
        assignment, otherwise = placing.here(node, request, asked, location)

        async def work() -> Answer:
            if otherwise is not None:
                return await placed_records.known(node, asked, otherwise)
            return await self._setups.create(asked, wish, location, assignment)

        await self.answer(response, asked, work)

    async def on_get(self, request: Request, response: Response) -> None:
        """A page of setups."""
        await lists.answer(self.node, request, response, page)


class SetupItem(Route):
    """/v1/setup_intents/{identifier}"""

    def __init__(self, node: NodeContext) -> None:
        super().__init__(node)
        self._setups = Setups(node.machine, node.refusals.secret)

    async def on_get(self, request: Request, response: Response, identifier: str) -> None:
        """Retrieve; a publishable key needs the client secret."""
        node = self.node
        who = route.principal(request, node, public=True)
        query = struct_from(route.query(request), RetrieveSetup)
        public = who.kind != "secret"
        if public or query.client_secret is not None:
            found = await _check_client_secret(node, who, identifier, query.client_secret)
        else:
            found = await _owned(node, who, identifier)
        if public:
            route.check_expand(query.expand, NOTHING)
        shown = render.setup_intent(found, public=public)
        await route.show(node, request, response, who, shown)

    async def on_post(self, request: Request, response: Response, identifier: str) -> None:
        """Update."""
        asked, wish = await self.identified(
            request, RESOURCE, UpdateSetup, "update_setup", identifier, UNDONE_UPDATE
        )
        await self.answer(response, asked, lambda: self._setups.update(asked, identifier, wish))

    async def on_post_confirm(self, request: Request, response: Response, identifier: str) -> None:
        """Confirm; a payer's browser may, with the client secret."""
        node = self.node
        who = route.principal(request, node, public=True)
        params, wish = await route.checked(request, ConfirmSetup, UNDONE_CONFIRM)
        public = who.kind != "secret"
        if public or wish.client_secret is not None:
            await _check_client_secret(node, who, identifier, wish.client_secret)
        check_return_url(wish.return_url)
        check_acceptance(wish.mandate_data)
        if public:
            route.check_expand(wish.expand, NOTHING)
        node.expansion.wished(wish.expand, RESOURCE.object)
        asked = route.asked(request, who, "confirm_setup", identifier, params, wish.expand)
        most = PAYERS_ATTEMPTS_MAX if public else None
        work = functools.partial(self._setups.confirm, asked, identifier, wish, attempts_max=most)
        await self.answer(response, asked, work)
        if public and response.data is not None:
            response.data = render.public(response.data)

    async def on_post_cancel(self, request: Request, response: Response, identifier: str) -> None:
        """Cancel."""
        asked, wish = await self.identified(
            request, RESOURCE, CancelSetup, "cancel_setup", identifier
        )
        await self.answer(response, asked, lambda: self._setups.cancel(asked, identifier, wish))


async def _owned(node: NodeContext, who: Principal, identifier: str) -> Setup:
    return own(await stored.find(node.store, identifier), who, "setup_intent", identifier)


async def _check_client_secret(
    node: NodeContext, who: Principal, identifier: str, secret: str | None
) -> Setup:
    """A publishable key opens a setup only together with its client secret. Raises ApiError: 404
    for a wrong secret too, so that ids cannot be tried out."""
    setup = await _owned(node, who, identifier)
    said = (secret or "").encode("utf-8", "replace")
    if not hmac.compare_digest(setup.details.client_secret.encode(), said):
        raise ApiError.missing("setup_intent", identifier)
    return setup


async def page(
    node: NodeContext, who: Principal, params: Params, region: int, room: Room
) -> Listed:
    """GET /v1/setup_intents; ``region``: to whose access process the answer goes."""
    query = struct_from(params, ListSetups)
    fill = lists.filling(node, query, RESOURCE, who, region)
    here = query.customer is not None or query.payment_method is not None
    part = await lists.page_of(node, who, query, RESOURCE, room, here=here)
    found, following = await stored.page(
        node.store, who.merchant.id, who.livemode, part, query.customer, query.payment_method
    )
    if region and any(stays(row, region) for row in found):
        raise placed_records.elsewhere(node)
    return await lists.paged(
        query,
        RESOURCE,
        room,
        found,
        following,
        render.setup_intent,
        lambda row: row.id,
        fill,
    )


async def _itself(node: NodeContext, who: Principal, identifier: str) -> Any:
    return identifier


async def _found(node: NodeContext, identifier: str) -> Setup | None:
    return await stored.find(node.store, identifier)


PAYMENT_OF = {"seti": _itself}
"""By the prefix of an id, how that is found which says where it must stay."""
STAYING = {"seti": _found}
"""What says it, where that is neither a payment nor a record."""


def routes(node: NodeContext) -> Iterable[Mounted]:
    """Where setups are served."""
    one = SetupItem(node)
    yield "/v1/setup_intents", SetupList(node), ""
    yield "/v1/setup_intents/{identifier}", one, ""
    for verb in ("confirm", "cancel"):
        yield f"/v1/setup_intents/{{identifier}}/{verb}", one, verb
