"""What the resources' folders declare, put together for one node."""

from collections.abc import Awaitable, Callable

from bailiwick.channels.contract import Operation
from bailiwick.idempotency import keys
from bailiwick.orders.kinds import AsItIs, Disputing, Handler, Kind, Kinds
from bailiwick.orders.lanes import lanes as order_lanes
from bailiwick.orders.machine import Machine
from bailiwick.resources import declared
from bailiwick.serving.expansion import Expansion, Load
from bailiwick.store.database import LaneSpec


def _every_kind() -> list[Kind]:
    return declared("KIND", "kind")


def lanes() -> list[LaneSpec]:
    """The lanes of a node's store: of each kind of orders, and of tombstones."""
    found: list[LaneSpec] = []
    for kind in _every_kind():
        parts = [
            name for each in declared("PARTS", "handlers") for name in each.get(kind.prefix, ())
        ]
        found.extend(order_lanes(kind.table, parts))
    return [*found, keys.lane()]


def tasks(machine: Machine) -> dict[str, Callable[[], Awaitable[float]]]:
    """What is done again and again without anybody asking; each step says when the next is due."""
    return {
        name: make(machine).step
        for each in declared("TASKS", "routes")
        for name, make in each.items()
    }


def kinds() -> Kinds:
    """The kinds of orders with what outcomes do to them."""
    handlers: dict[tuple[str, Operation], Handler] = {}
    for each in declared("HANDLERS", "kind", "handlers"):
        handlers |= each
    objects: dict[str, AsItIs] = {}
    for each in declared("OBJECTS", "kind", "handlers"):
        objects |= each
    disputing: dict[str, Disputing] = {}
    for each in declared("DISPUTING", "handlers"):
        disputing |= each
    return Kinds(_every_kind(), handlers, objects, disputing, declared("ALSO", "told"))


def expansion() -> Expansion:
    """What refers to what, and how that is read."""
    references: dict[str, dict[str, str]] = {}
    for each in declared("REFERENCES", "render"):
        references |= each
    loads: dict[str, Load] = {}
    for each in declared("LOADS", "routes"):
        loads |= each
    return Expansion(references, loads)


def search_fills() -> list[str]:
    """The statements that write entries of what can be searched, by name."""
    return [each.fill for each in declared("SEARCHED", "search")]
