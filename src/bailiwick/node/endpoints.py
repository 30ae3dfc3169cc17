"""Webhook endpoints over HTTP. Access gives id and secret, the same for every node."""

from typing import Any

import falcon.asgi
import msgspec
from msgspec import UNSET, UnsetType

from bailiwick.access import paging
from bailiwick.base.clock import now_ms
from bailiwick.base.errors import ApiError
from bailiwick.base.ids import is_id
from bailiwick.node import inbound, render
from bailiwick.node.addresses import allowed_url
from bailiwick.node.requests import (
    CreateEndpoint,
    ListEndpoints,
    UpdateEndpoint,
    merged,
)
from bailiwick.node.service import Node
from bailiwick.node.tenancy import own
from bailiwick.node.webhooks import Endpoint
from bailiwick.shell.answers import json_answer
from bailiwick.shell.forms import struct_from
from bailiwick.world.merchants import Principal

ENDPOINTS_MAX = 16
EVENT_TYPES = frozenset(
    {
        "*",
        "payment_intent.created",
        "payment_intent.processing",
        "payment_intent.requires_action",
        "payment_intent.amount_capturable_updated",
        "payment_intent.succeeded",
        "payment_intent.payment_failed",
        "payment_intent.canceled",
        "refund.created",
        "refund.updated",
        "refund.failed",
        "bailiwick.payment_intent.updated",
        "bailiwick.late_success",
        "bailiwick.capture_refused",
        "bailiwick.cancel_refused",
    }
)


class Given(msgspec.Struct, frozen=True):
    """``Bailiwick-Resource``: what access has chosen."""

    id: str
    secret: str
    created_ms: int = 0


def _shown(endpoint: Endpoint, *, secret: bool = False) -> render.Object:
    return render.webhook_endpoint(msgspec.structs.asdict(endpoint), secret=secret)


def _check(node: Node, url: str | UnsetType, events: list[str] | UnsetType) -> None:
    if not isinstance(url, UnsetType):
        problem = allowed_url(url, private=node.settings.webhook_private_addresses)
        if problem is not None:
            raise ApiError.invalid(f"Invalid URL: {problem}.", param="url", code="url_invalid")
    for place, name in enumerate([] if isinstance(events, UnsetType) else events):
        # Types of the format that never happen here may be subscribed to: SDK users list them.
        plain = name.replace("_", "").replace(".", "")
        known = name in EVENT_TYPES or ("." in name and plain.isalnum() and plain.islower())
        if not known:
            raise ApiError.invalid(
                f"Unknown event type: {name[:80]}.", param=f"enabled_events[{place}]"
            )


class EndpointList:
    """/v1/webhook_endpoints"""

    def __init__(self, node: Node) -> None:
        self._node = node

    async def on_put(self, request: falcon.asgi.Request, response: falcon.asgi.Response) -> None:
        """Write an endpoint under the id that access gives; repeating it changes nothing."""
        node = self._node
        who = inbound.principal(request, node)
        given = msgspec.json.decode(request.get_header("Bailiwick-Resource") or "{}", type=Given)
        if not is_id(given.id, "we"):
            raise ApiError.invalid("Bailiwick-Resource has no id of an endpoint.")
        _, wish = await inbound.checked(request, CreateEndpoint)
        _check(node, wish.url, wish.enabled_events)
        await node.endpoints.load(node.store)
        known = node.endpoints.get(given.id) is not None
        owned = node.endpoints.of(who.merchant.id, who.livemode)
        if len(owned) >= ENDPOINTS_MAX and not known:
            raise ApiError.invalid(
                f"A merchant has at most {ENDPOINTS_MAX} webhook endpoints: delete one first."
            )
        details = {
            "description": None if isinstance(wish.description, UnsetType) else wish.description,
            "metadata": merged({}, wish.metadata),
            "api_version": wish.api_version,
        }
        await node.store.rows(
            "endpoint_put",
            given.id,
            who.merchant.id,
            who.livemode,
            wish.url,
            given.secret,
            msgspec.json.encode(wish.enabled_events).decode(),
            given.created_ms or now_ms(),
            msgspec.json.encode(details).decode(),
        )
        await node.endpoints.load(node.store)
        endpoint = node.endpoints.get(given.id)
        assert endpoint is not None
        if (endpoint.url, endpoint.events) != (wish.url, wish.enabled_events):
            raise ApiError.mismatch()  # its id follows from the key, which was used before
        # A secret is shown once: whoever repeats the request has got it, or makes another endpoint.
        json_answer(response, _shown(endpoint, secret=not known))

    on_post = on_put

    async def on_get(self, request: falcon.asgi.Request, response: falcon.asgi.Response) -> None:
        """List."""
        who = inbound.principal(request, self._node)
        query = struct_from(inbound.query(request), ListEndpoints)
        await self._node.endpoints.load(self._node.store)
        owned = self._node.endpoints.of(who.merchant.id, who.livemode)
        for name, cursor in paging.given(msgspec.structs.asdict(query)):
            if all(each.id != cursor for each in owned):
                raise paging.no_such(name, "webhook_endpoint", cursor)
        if query.starting_after is not None:
            owned = [each for each in owned if each.id < query.starting_after]
        if query.ending_before is not None:
            owned = [each for each in owned if each.id > query.ending_before]
        forward = query.ending_before is None
        kept = owned[: query.limit] if forward else owned[-query.limit :]
        objects = [_shown(endpoint) for endpoint in kept]
        more = len(owned) > query.limit
        json_answer(response, render.page(objects, "/v1/webhook_endpoints", more))


class EndpointItem:
    """/v1/webhook_endpoints/{identifier}"""

    def __init__(self, node: Node) -> None:
        self._node = node

    def _own(self, who: Principal, identifier: str) -> Endpoint:
        return own(self._node.endpoints.get(identifier), who, "webhook_endpoint", identifier)

    async def on_get(
        self, request: falcon.asgi.Request, response: falcon.asgi.Response, identifier: str
    ) -> None:
        """Retrieve."""
        who = inbound.principal(request, self._node)
        await self._node.endpoints.load(self._node.store)
        json_answer(response, _shown(self._own(who, identifier)))

    async def on_post(
        self, request: falcon.asgi.Request, response: falcon.asgi.Response, identifier: str
    ) -> None:
        """Update."""
        node = self._node
        who = inbound.principal(request, node)
        _, wish = await inbound.checked(request, UpdateEndpoint)
        await node.endpoints.load(node.store)
        old = self._own(who, identifier)
        _check(node, wish.url, wish.enabled_events)
        details: dict[str, Any] = dict(old.details)
        details["metadata"] = merged(details.get("metadata", {}), wish.metadata)
        if wish.description is not UNSET:
            details["description"] = wish.description
        status = old.status
        if wish.disabled is not None:
            status = "disabled" if wish.disabled else "enabled"
        events = old.events if isinstance(wish.enabled_events, UnsetType) else wish.enabled_events
        await node.store.rows(
            "endpoint_update",
            identifier,
            who.merchant.id,
            who.livemode,
            old.url if isinstance(wish.url, UnsetType) else wish.url,
            msgspec.json.encode(events).decode(),
            status,
            msgspec.json.encode(details).decode(),
        )
        await node.endpoints.load(node.store)
        json_answer(response, _shown(self._own(who, identifier)))

    async def on_delete(
        self, request: falcon.asgi.Request, response: falcon.asgi.Response, identifier: str
    ) -> None:
        """Delete, with what is still owed to it."""
        node = self._node
        who = inbound.principal(request, node)
        gone = await node.store.row("endpoint_delete", identifier, who.merchant.id, who.livemode)
        if gone is None:
            raise ApiError.missing("webhook_endpoint", identifier)
        await node.endpoints.load(node.store)
        json_answer(response, {"id": identifier, "object": "webhook_endpoint", "deleted": True})
