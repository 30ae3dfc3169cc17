"""The node of what a request names in its parameters."""

from typing import Any

from bailiwick.access.front import Front
from bailiwick.base.errors import ApiError
from bailiwick.topology.topology import Node


def named(front: Front, names: dict[str, str], params: dict[str, Any]) -> tuple[Node, str] | None:
    """The node of the objects that parameters name, and one of them; None: they name none.

    Raises:
        ApiError: 400, 404.
    """
    found: tuple[Node, str] | None = None
    for name, prefix in names.items():
        identifier = params.get(name)
        if not identifier:
            continue
        if not isinstance(identifier, str):
            raise ApiError.invalid(f"Invalid string in {name}.", param=name)
        node = front.node_for(identifier, prefix, name, param=name)
        if found is not None and node is not found[0]:
            raise ApiError.invalid(f"{' and '.join(names)} do not belong together.", param=name)
        found = node, identifier
    return found


def missing(names: dict[str, str]) -> ApiError:
    """The refusal of a request that must name something."""
    first, *others = names
    also = f" (or {', '.join(others)})" if others else ""
    return ApiError.invalid(
        f"Missing required param: {first}{also}.", param=first, code="parameter_missing"
    )
