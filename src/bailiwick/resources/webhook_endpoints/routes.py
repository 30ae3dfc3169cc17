"""Webhook endpoints over HTTP. Access gives id and secret, the same for every node."""

from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from bailiwick.base import api_versions
from bailiwick.base.clock import now_ms
from bailiwick.base.errors import ApiError
from bailiwick.base.objects import page
from bailiwick.base.tenancy import own
from bailiwick.delivery.addresses import allowed_url
from bailiwick.delivery.event_types import problem
from bailiwick.delivery.webhooks import Endpoint
from bailiwick.interlink.sealed_resource import Given
from bailiwick.resources.webhook_endpoints import RESOURCE
from bailiwick.resources.webhook_endpoints.params import (
    CreateEndpoint,
    ListEndpoints,
    UpdateEndpoint,
)
from bailiwick.resources.webhook_endpoints.secret import SecretRoll, shown
from bailiwick.serving import lists, route
from bailiwick.serving.context import NodeContext
from bailiwick.serving.everywhere import given_by_access, node_addressed, part_of
from bailiwick.serving.params import Retrieve, merged
from bailiwick.serving.route import Mounted, Request, Response, Route
from bailiwick.store.changes import change
from bailiwick.topology.merchants import Principal
from bailiwick.wire.answers import json_answer
from bailiwick.wire.forms import struct_from

ENDPOINTS_MAX = 16


def _check_new(wish: CreateEndpoint) -> None:
    """Refuse what a new endpoint alone may name. Raises ApiError (400)."""
    wrong = None if wish.api_version is None else api_versions.problem(wish.api_version)
    if wrong is not None:
        raise ApiError.invalid(wrong, param="api_version")
    if wish.connect:
        raise ApiError.invalid(
            "There are no connected accounts here, so an endpoint for their events would never "
            "hear of one: leave connect out.",
            param="connect",
        )


def _check(node: NodeContext, url: str | UnsetType, events: list[str] | UnsetType) -> None:
    if not isinstance(url, UnsetType):
        wrong = allowed_url(url, private=node.private_addresses)
        if wrong is not None:
            raise ApiError.invalid(f"Invalid URL: {wrong}.", param="url", code="url_invalid")
    for place, name in enumerate([] if isinstance(events, UnsetType) else events):
        # Types of the format that never happen here may be subscribed to: SDK users list them.
        wrong = problem(name)
        if wrong is not None:
            raise ApiError.invalid(wrong, param=f"enabled_events[{place}]")


class EndpointList(Route):
    """/v1/webhook_endpoints"""

    async def on_put(self, request: Request, response: Response) -> None:
        """Write an endpoint under the id that access gives; repeating it changes nothing."""
        node = self.node
        who = route.principal(request, node)
        given = given_by_access(node, request, who, RESOURCE)
        _, wish = await route.checked(request, CreateEndpoint)
        route.check_expand(wish.expand, route.NOTHING)
        _check(node, wish.url, wish.enabled_events)
        _check_new(wish)
        async with node.endpoints.changing:
            made = await self._put(who, given, wish)
            endpoint = own(node.endpoints.get(given.id), who, "webhook_endpoint", given.id)
        had = (endpoint.url, endpoint.events, endpoint.details.get("api_version"))
        if had != (wish.url, wish.enabled_events, wish.api_version):
            raise ApiError.mismatch()  # its id follows from the key, which was used before
        # A secret is shown once: whoever repeats the request has got it, or makes another endpoint.
        json_answer(response, shown(endpoint, secret=made))

    async def on_post(self, request: Request, response: Response) -> None:
        """Not here: it would be known to this node alone."""
        route.principal(request, self.node)
        raise node_addressed(RESOURCE)

    async def _put(self, who: Principal, given: Given, wish: CreateEndpoint) -> bool:
        """Whether it was made now. Raises ApiError (400) where there are enough."""
        node = self.node
        await node.endpoints.load(node.store)
        if node.endpoints.get(given.id) is not None:
            return False
        if await node.store.row("endpoint_deleted", given.id) is not None:
            raise ApiError.invalid(
                "The webhook endpoint that this Idempotency-Key made was deleted: use a new key.",
                param="Idempotency-Key",
            )
        if len(node.endpoints.of(who.merchant.id, who.livemode)) >= ENDPOINTS_MAX:
            raise ApiError.invalid(
                f"A merchant has at most {ENDPOINTS_MAX} webhook endpoints: delete one first."
            )
        details = {
            "description": None if isinstance(wish.description, UnsetType) else wish.description,
            "metadata": merged({}, wish.metadata),
            "api_version": wish.api_version,
        }
        made = await node.store.row(
            "endpoint_put",
            given.id,
            who.merchant.id,
            who.livemode,
            wish.url,
            given.secret,
            msgspec.json.encode(wish.enabled_events).decode(),
            given.created_ms,
            msgspec.json.encode(details).decode(),
            change(),
        )
        await node.endpoints.load(node.store)
        return made is not None

    async def on_get(self, request: Request, response: Response) -> None:
        """List."""
        who = route.principal(request, self.node)
        query = struct_from(route.query(request), ListEndpoints)
        lists.wishes(query, route.NOTHING)
        await self.node.endpoints.load(self.node.store)
        owned = self.node.endpoints.of(who.merchant.id, who.livemode)
        kept, more = part_of(owned, query, RESOURCE.object)
        json_answer(response, page([shown(each) for each in kept], RESOURCE.path, more))


class EndpointItem(Route):
    """/v1/webhook_endpoints/{identifier}"""

    def _own(self, who: Principal, identifier: str) -> Endpoint:
        return own(self.node.endpoints.get(identifier), who, "webhook_endpoint", identifier)

    async def on_get(self, request: Request, response: Response, identifier: str) -> None:
        """Retrieve."""
        who = route.principal(request, self.node)
        query = struct_from(route.query(request), Retrieve)
        route.check_expand(query.expand, route.NOTHING)
        await self.node.endpoints.load(self.node.store)
        json_answer(response, shown(self._own(who, identifier)))

    async def on_post(self, request: Request, response: Response, identifier: str) -> None:
        """Update."""
        node = self.node
        who = route.principal(request, node)
        _, wish = await route.checked(request, UpdateEndpoint)
        route.check_expand(wish.expand, route.NOTHING)
        _check(node, wish.url, wish.enabled_events)
        async with node.endpoints.changing:
            await node.endpoints.load(node.store)
            await self._update(self._own(who, identifier), wish)
            await node.endpoints.load(node.store)
        json_answer(response, shown(self._own(who, identifier)))

    async def _update(self, old: Endpoint, wish: UpdateEndpoint) -> None:
        details: dict[str, Any] = dict(old.details)
        details["metadata"] = merged(details.get("metadata", {}), wish.metadata)
        if wish.description is not UNSET:
            details["description"] = wish.description
        status = old.status
        if wish.disabled is not None:
            status = "disabled" if wish.disabled else "enabled"
        events = old.events if isinstance(wish.enabled_events, UnsetType) else wish.enabled_events
        await self.node.store.rows(
            "endpoint_update",
            old.id,
            old.merchant,
            old.livemode,
            old.url if isinstance(wish.url, UnsetType) else wish.url,
            msgspec.json.encode(events).decode(),
            status,
            msgspec.json.encode(details).decode(),
            change(),
        )

    async def on_delete(self, request: Request, response: Response, identifier: str) -> None:
        """Delete, with what is still owed to it."""
        node = self.node
        who = route.principal(request, node)
        await route.check_bare(request)
        gone = await node.store.row(
            "endpoint_delete", identifier, who.merchant.id, who.livemode, change(), now_ms()
        )
        if gone is None:
            raise ApiError.missing("webhook_endpoint", identifier)
        await node.endpoints.load(node.store)
        json_answer(response, {"id": identifier, "object": "webhook_endpoint", "deleted": True})


def routes(node: NodeContext) -> Iterable[Mounted]:
    """Where webhook endpoints are served."""
    yield "/v1/webhook_endpoints", EndpointList(node), ""
    yield "/v1/webhook_endpoints/{identifier}/roll_secret", SecretRoll(node), ""
    yield "/v1/webhook_endpoints/{identifier}", EndpointItem(node), ""
