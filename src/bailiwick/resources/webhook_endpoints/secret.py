"""The secret of a webhook endpoint is replaced. Access chooses the new one, for all nodes alike."""

from typing import Any

import msgspec

from bailiwick.base.clock import now_ms
from bailiwick.base.errors import ApiError
from bailiwick.base.objects import Object, text
from bailiwick.base.tenancy import own
from bailiwick.delivery.secrets import VALID_BEFORE_MAX, TooMany, UsedBefore, replaced
from bailiwick.delivery.webhooks import Endpoint
from bailiwick.interlink.sealed_resource import Given
from bailiwick.resources.webhook_endpoints import RESOURCE, render
from bailiwick.resources.webhook_endpoints.params import RollSecret
from bailiwick.serving import route
from bailiwick.serving.everywhere import given_by_access, node_addressed
from bailiwick.serving.route import NOTHING, Request, Response, Route, check_expand
from bailiwick.store.changes import change
from bailiwick.wire.answers import json_answer

ACTION = "roll_secret"


def shown(endpoint: Endpoint, *, secret: bool = False) -> Object:
    """An endpoint as an object of the API."""
    row: dict[str, Any] = msgspec.structs.asdict(endpoint)
    return render.webhook_endpoint(row, now_ms(), secret=secret)


class SecretRoll(Route):
    """/v1/webhook_endpoints/{identifier}/roll_secret"""

    async def on_post(self, request: Request, response: Response, identifier: str) -> None:
        """Not here: it would be the secret at this node alone."""
        route.principal(request, self.node)
        raise node_addressed(RESOURCE)

    async def on_put(self, request: Request, response: Response, identifier: str) -> None:
        """Take the secret that access gives; repeating it changes nothing."""
        node = self.node
        who = route.principal(request, node)
        given = given_by_access(node, request, who, RESOURCE, ACTION)
        if given.id != identifier:
            raise ApiError.invalid("The path names another endpoint.", param="id")
        _, wish = await route.checked(request, RollSecret)
        check_expand(wish.expand, NOTHING)
        async with node.endpoints.changing:
            await node.endpoints.load(node.store)
            found = own(node.endpoints.get(identifier), who, "webhook_endpoint", identifier)
            rolled = found.secret != given.secret
            if rolled:
                await self._roll(found, given, wish.expires_in)
                await node.endpoints.load(node.store)
            found = own(node.endpoints.get(identifier), who, "webhook_endpoint", identifier)
        # Shown once, as that of a new endpoint: whoever repeats the request has got it.
        json_answer(response, shown(found, secret=rolled))

    async def _roll(self, found: Endpoint, given: Given, expires_in_s: int) -> None:
        """Raises ApiError: 400, an old key, or too many are valid; 409, it is being changed."""
        until_ms = given.created_ms + expires_in_s * 1000 if expires_in_s else 0
        try:
            old = replaced(found.old_secrets, found.secret, given.secret, now_ms(), until_ms)
        except UsedBefore:
            raise ApiError.invalid(
                "This Idempotency-Key has rolled this endpoint's secret before, and it was rolled "
                "again since: use a new key.",
                param="Idempotency-Key",
            ) from None
        except TooMany:
            raise ApiError.invalid(
                f"{VALID_BEFORE_MAX} earlier secrets are still valid: wait until one has expired, "
                "or end them all with expires_in=0.",
                param="expires_in",
            ) from None
        done = await self.node.store.row(
            "endpoint_roll",
            found.id,
            found.merchant,
            found.livemode,
            given.secret,
            text(old),
            found.secret,
            change(),
        )
        if done is None:
            raise ApiError.conflict("The endpoint is being changed. Retry.")
