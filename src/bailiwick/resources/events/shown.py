"""Events as they are found and shown.

A row tells of one event or of several (``orders.kinds.Also``): the first has the row's id, the
second that with ``_2`` behind it, and so on.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from bailiwick.base import api_versions
from bailiwick.base.errors import ApiError
from bailiwick.base.objects import Object
from bailiwick.delivery.event_types import matching
from bailiwick.orders.kinds import Kinds, Named
from bailiwick.resources.events import render
from bailiwick.serving.context import NodeContext
from bailiwick.store.database import Store
from bailiwick.topology.merchants import Principal

Bodies = Mapping[Named, msgspec.Raw]


async def find(node: NodeContext, who: Principal, identifier: str) -> Any:
    """A merchant's event as it is stored, or None."""
    parts = identifier.split("_")
    number = int(parts[2]) if len(parts) == 3 and parts[2].isdecimal() else 1
    row = "_".join(parts[:2]) if len(parts) == 3 else identifier
    if not 0 < number < 100 or (len(parts) == 3 and parts[2] != str(number)) or parts[2:] == ["1"]:
        return None
    return await node.store.row(
        "event_find", who.merchant.id, who.livemode, identifier, row, number
    )


def types_of(one_of: str | None, some: list[str] | None) -> list[str] | None:
    """Which types of events are wanted; None: all. Of a group, those that it stands for now.

    Raises:
        ApiError: 400, both are given, or a group among several.
    """
    if one_of is not None and some is not None:
        raise ApiError.invalid("Only one of type and types can be given.", param="types")
    if one_of is not None:
        return matching(one_of)
    if some and any("*" in each for each in some):
        raise ApiError.invalid(
            "types[] takes names of event types; a group of them (*) goes into type.",
            param="types",
        )
    return some or None


async def bodies(kinds: Kinds, store: Store, rows: Iterable[Any]) -> Bodies:
    """The objects of those events that are not the first of their rows."""
    return await kinds.bodies(store, [_named(row) for row in rows if row["number"] > 1])


def event_object(
    kinds: Kinds,
    row: Any,
    beside: Bodies,
    version: str = api_versions.CURRENT,
    *,
    name: str = "id",
) -> Object:
    """An event from its stored columns, as of a version of the format; ``beside``: what ``bodies``
    found, ``name``: of the column that has its id."""
    if row["number"] > 1:
        stored = beside[_named(row)]
    else:
        stored = kinds.event_body(row["subject"], row["body"], row["content"])
    return render.event(
        row[name],
        row["type"],
        api_versions.as_of(version, stored),
        row["livemode"],
        row["subject"],
        row["seq"],
        row["pending"],
        version,
    )


async def one(
    kinds: Kinds,
    store: Store,
    row: Any,
    version: str = api_versions.CURRENT,
    *,
    name: str = "id",
) -> Object:
    """The same of one event, with what it needs."""
    return event_object(kinds, row, await bodies(kinds, store, [row]), version, name=name)


def _named(row: Any) -> Named:
    return Named(row["subject"], row["seq"], row["type"])
