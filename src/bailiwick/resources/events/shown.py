"""Events as they are found and shown."""

from typing import Any

from bailiwick.base import api_versions
from bailiwick.base.objects import Object
from bailiwick.orders.kinds import Kinds
from bailiwick.resources.events import render
from bailiwick.serving.context import NodeContext
from bailiwick.topology.merchants import Principal


async def find(node: NodeContext, who: Principal, identifier: str) -> Any:
    """A merchant's event as it is stored, or None."""
    return await node.store.row("event_find", who.merchant.id, who.livemode, identifier)


def event_object(
    kinds: Kinds, row: Any, version: str = api_versions.CURRENT, *, name: str = "id"
) -> Object:
    """An event from its stored columns, as of a version of the format; ``name``: of the column that
    has its id."""
    stored = kinds.event_body(row["subject"], row["body"], row["content"])
    body = api_versions.as_of(version, stored)
    return render.event(
        row[name],
        row["type"],
        body,
        row["livemode"],
        row["subject"],
        row["seq"],
        row["pending"],
        version,
    )
