"""POST /v1/events/{id}/retry: an event is sent to an endpoint again."""

import uuid

from bailiwick.base.clock import now_ms
from bailiwick.base.errors import ApiError
from bailiwick.base.ids import time_of
from bailiwick.base.keys import check_key, key_identity
from bailiwick.base.tenancy import own
from bailiwick.delivery.webhooks import Endpoint
from bailiwick.resources.events.params import RetryEvent
from bailiwick.resources.events.shown import find, one
from bailiwick.serving import route
from bailiwick.serving.route import NOTHING, Request, Response, Route, check_expand
from bailiwick.topology.merchants import Principal
from bailiwick.wire.answers import json_answer

RESENT_MS = 30 * 86_400_000
"""How old an event may be: https://docs.stripe.com/cli/events/resend."""


class EventRetry(Route):
    """/v1/events/{identifier}/retry, as ``stripe events resend`` asks for it."""

    async def on_post(self, request: Request, response: Response, identifier: str) -> None:
        """Send again; the answer is the event, which is owed once more."""
        node = self.node
        who = route.principal(request, node)
        _, wish = await route.checked(request, RetryEvent)
        check_expand(wish.expand, NOTHING)
        row = await find(node, who, identifier)
        if row is None:
            raise ApiError.missing("event", identifier)
        endpoint = await self._endpoint(who, wish)
        if now_ms() - time_of(identifier) > RESENT_MS:
            raise ApiError.invalid(
                "Events can be sent again for 30 days after they were created.", param="id"
            )
        key = _key(request, who)
        done = await node.store.row(
            "delivery_resend", identifier, endpoint.id, row["subject"], row["seq"], key
        )
        if done is None or not done["open"]:
            raise ApiError.unavailable(
                f"Node '{node.name}' is fenced: it sends nothing. Retry.", code="node_fenced"
            )
        again = await find(node, who, identifier)
        json_answer(response, await one(node.machine.kinds, node.store, again))

    async def _endpoint(self, who: Principal, wish: RetryEvent) -> Endpoint:
        """Where it is sent. Raises ApiError: 400, it is not named or disabled; 404."""
        node, name = self.node, wish.webhook_endpoint
        if name is None:
            raise ApiError.invalid(
                "Missing required param: webhook_endpoint. Name the endpoint that the event is "
                "sent to.",
                param="webhook_endpoint",
                code="parameter_missing",
            )
        await node.endpoints.load(node.store)
        found = own(
            node.endpoints.get(name), who, "webhook_endpoint", name, param="webhook_endpoint"
        )
        if found.status != "enabled":
            raise ApiError.invalid(
                f"Webhook endpoint {name} is disabled: enable it first (disabled=false).",
                param="webhook_endpoint",
            )
        return found


def _key(request: Request, who: Principal) -> str:
    """What tells a request from its repetition. Raises ApiError (400)."""
    key = request.get_header("Idempotency-Key")
    if key is None:
        return str(uuid.uuid4())
    check_key(key)
    return key_identity(who.merchant.id, who.livemode, key)
