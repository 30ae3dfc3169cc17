"""Payment method configurations over HTTP. Access gives the id, the same for every node."""

from collections.abc import Iterable
from typing import Any

import msgspec

from bailiwick.base.errors import ApiError
from bailiwick.base.objects import page
from bailiwick.records.configurations import Configuration
from bailiwick.resources.payment_method_configurations import RESOURCE, effect
from bailiwick.resources.payment_method_configurations.params import (
    CreateConfiguration,
    ListConfigurations,
    UpdateConfiguration,
    preferences,
)
from bailiwick.resources.payment_method_configurations.render import configuration
from bailiwick.serving import lists, route
from bailiwick.serving.context import NodeContext
from bailiwick.serving.everywhere import given_by_access, node_addressed, part_of
from bailiwick.serving.params import Retrieve
from bailiwick.serving.route import Mounted, Request, Response, Route
from bailiwick.topology.merchants import Principal
from bailiwick.wire.answers import json_answer
from bailiwick.wire.forms import struct_from

CONFIGURATIONS_MAX = 100
_UNNAMED = "Untitled"


class ConfigurationList(Route):
    """/v1/payment_method_configurations"""

    async def on_put(self, request: Request, response: Response) -> None:
        """Write a configuration under the id that access gives; repeating it changes nothing."""
        node = self.node
        who = route.principal(request, node)
        given = given_by_access(node, request, who, RESOURCE)
        _, wish = await route.checked(request, CreateConfiguration)
        route.check_expand(wish.expand, route.NOTHING)
        details = {"name": wish.name or _UNNAMED, "active": True, "methods": preferences(wish)}
        # What it was made with stays with it: whoever repeats the request may see it changed.
        made = Configuration(
            given.id, who.merchant.id, who.livemode, given.created_ms, {**details, "made": details}
        )
        async with node.configurations.changing:
            found = await self._put(who, made)
        if found.details["made"] != details:
            raise ApiError.mismatch()  # its id follows from the key, which was used before
        json_answer(response, configuration(found))

    async def _put(self, who: Principal, made: Configuration) -> Configuration:
        """The configuration with this id. Raises ApiError (400) where there are enough."""
        known = self.node.configurations
        await known.load(self.node.store)
        found = known.get(made.id)
        if found is not None:
            return found
        if len(effect.owned(known, who)) > CONFIGURATIONS_MAX:
            raise ApiError.invalid(
                f"A merchant has at most {CONFIGURATIONS_MAX} payment method configurations: "
                "change one that you no longer use."
            )
        await known.put(self.node.store, made)
        return made

    async def on_post(self, request: Request, response: Response) -> None:
        """Not here: it would be known to this node alone."""
        route.principal(request, self.node)
        raise node_addressed(RESOURCE)

    async def on_get(self, request: Request, response: Response) -> None:
        """List."""
        node = self.node
        who = route.principal(request, node)
        query = struct_from(route.query(request), ListConfigurations)
        lists.wishes(query, route.NOTHING)
        await node.configurations.load(node.store)
        found = [
            each
            for each in effect.owned(node.configurations, who)
            if query.active is None or each.details["active"] is query.active
        ]
        if query.application:  # there are none, so that nothing is theirs
            found = []
        kept, more = part_of(found, query, RESOURCE.object)
        json_answer(response, page([configuration(each) for each in kept], RESOURCE.path, more))


class ConfigurationItem(Route):
    """/v1/payment_method_configurations/{identifier}"""

    async def _own(self, who: Principal, identifier: str) -> Configuration:
        """One of the merchant's. Raises ApiError (404)."""
        known = self.node.configurations
        await known.load(self.node.store)
        found = effect.one_of(known, who, identifier)
        if found is None:
            raise ApiError.missing(RESOURCE.object, identifier)
        return found

    async def on_get(self, request: Request, response: Response, identifier: str) -> None:
        """Retrieve."""
        who = route.principal(request, self.node)
        query = struct_from(route.query(request), Retrieve)
        route.check_expand(query.expand, route.NOTHING)
        json_answer(response, configuration(await self._own(who, identifier)))

    async def on_post(self, request: Request, response: Response, identifier: str) -> None:
        """Update: what is not named stays."""
        node = self.node
        who = route.principal(request, node)
        _, wish = await route.checked(request, UpdateConfiguration)
        route.check_expand(wish.expand, route.NOTHING)
        async with node.configurations.changing:
            row = _changed(await self._own(who, identifier), wish)
            await node.configurations.put(node.store, row)
        json_answer(response, configuration(row))


def _changed(row: Configuration, wish: Any) -> Configuration:
    """A configuration after a change. Raises ApiError (400)."""
    if wish.active is False and effect.is_default(row):
        raise ApiError.invalid(
            "The default payment method configuration is always active: payments that name none "
            "follow it.",
            param="active",
        )
    details = dict(row.details)
    details["methods"] = {**details["methods"], **preferences(wish)}
    if wish.name is not None:
        details["name"] = wish.name
    if wish.active is not None:
        details["active"] = wish.active
    return msgspec.structs.replace(row, details=details)


def routes(node: NodeContext) -> Iterable[Mounted]:
    """Where they are served."""
    yield RESOURCE.path, ConfigurationList(node), ""
    yield f"{RESOURCE.path}/{{identifier}}", ConfigurationItem(node), ""
