"""Where the resources of the API are served: what access must know of them. Pure.

Each resource declares it in its folder (``resources/<name>/__init__.py``), and the node mounts the
same paths; a test holds the two against each other. Access learns from it which node a request is
for, and reads no more of the request than that takes.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from bailiwick.topology.merchants import Principal


class ById(msgspec.Struct, frozen=True, tag="by_id"):
    """The node whose number is in the id that stands in the path.

    Attributes:
        answer_bytes: how large the node's answer may be, where that is more than elsewhere.
    """

    prefix: str
    object: str
    answer_bytes: int = 0


class ByParam(msgspec.Struct, frozen=True, tag="by_param"):
    """The node of what a parameter of the body names; of several, all must be of one node.

    Attributes:
        names: parameter to the prefix of the ids that it takes; the first is reported missing.
    """

    names: dict[str, str]


class Placed(msgspec.Struct, frozen=True, tag="placed"):
    """The node with jurisdiction over the place; with ``moves`` money may move at once: where the
    request says so (``confirm``), or with ``always`` whatever it says. What then only begins may go
    where the usage state allows; what does not move money at all is kept at home."""

    moves: bool = False
    always: bool = False


class Uploaded(msgspec.Struct, frozen=True, tag="uploaded"):
    """Files: the node of what a parameter of the body names, if it is given, else as ``Placed``.

    Attributes:
        names: as ``ByParam`` has it.
        body_bytes: how large the body may be.
    """

    names: dict[str, str]
    body_bytes: int


class Located(msgspec.Struct, frozen=True, tag="located"):
    """The node with jurisdiction over the place that the query names, to be asked something that
    writes nothing."""


class Merged(msgspec.Struct, frozen=True, tag="merged"):
    """All nodes, their answers merged into one list.

    Attributes:
        narrowed: filters that name an object whose node alone can have matches, to its prefix.
        streamed: whether there is a stream of it (``event_stream``).
    """

    narrowed: dict[str, str] = {}
    streamed: bool = False


class Summed(msgspec.Struct, frozen=True, tag="summed"):
    """All nodes, what they have added up; without one of them there is no answer."""


class Searched(msgspec.Struct, frozen=True, tag="searched"):
    """All nodes, what they find merged."""


class Everywhere(msgspec.Struct, frozen=True, tag="everywhere"):
    """All nodes alike: it lives at each of them.

    Attributes:
        action: what is done to the one that the path names, if more than reading and changing it:
            the last part of the path. Access chooses what all nodes must have alike.
    """

    action: str = ""


class OfWorld(msgspec.Struct, frozen=True, tag="of_world"):
    """Wherever it is asked for: the World says it all, so no node is asked.

    Attributes:
        show: for whom, the id in the path if there is one, the query's parameters; the object.
            Raises ApiError.
    """

    show: Callable[[Principal, str | None, dict[str, Any]], dict[str, Any]]


class Refused(msgspec.Struct, frozen=True, tag="refused"):
    """Nowhere: Stripe's API has it and this one does not; the answer is 400.

    Attributes:
        remedy: why, and what to do instead.
    """

    remedy: str


Where = (
    ById
    | ByParam
    | Placed
    | Uploaded
    | Located
    | Merged
    | Summed
    | Searched
    | Everywhere
    | OfWorld
    | Refused
)


class Path(msgspec.Struct, frozen=True):
    """One path, and for which node a request to it is.

    Attributes:
        template: as Falcon writes it: ``/v1/refunds/{identifier}``.
        methods: each method that is served, and where.
        public: methods that a payer's browser may use with a publishable key.
    """

    template: str
    methods: dict[str, Where]
    public: tuple[str, ...] = ()


class Resource(msgspec.Struct, frozen=True):
    """One resource of the API.

    Attributes:
        object: what the API calls it.
        path: of its list.
        paths: all of them.
        prefix: of its ids; what nobody keeps has none.
        older: prefixes that such ids had once at Stripe, and have in its documentation still.
        table: where a node keeps it; its statements are named after that.
        expands: its references whose names do not say what they are, each to the kind of that.
    """

    object: str
    path: str
    paths: tuple[Path, ...]
    prefix: str = ""
    table: str = ""
    older: tuple[str, ...] = ()
    expands: dict[str, str] = {}


def narrowed(of: Resource) -> dict[str, str]:
    """The filters of a resource's list that leave one node; see ``Merged``."""
    for path in of.paths:
        found = path.methods.get("GET") if path.template == of.path else None
        if isinstance(found, Merged):
            return found.narrowed
    return {}


def lists(resources: list[Resource]) -> dict[str, Resource]:
    """Those that have a list over all nodes, by its path."""
    return {
        each.path: each
        for each in resources
        if any(
            isinstance(path.methods.get("GET"), Merged)
            for path in each.paths
            if path.template == each.path
        )
    }


def larger_bodies(resources: list[Resource]) -> dict[bytes, int]:
    """The paths whose bodies may be larger than others', and how large; see ``wire.limits``."""
    return {
        path.template.encode("ascii"): where.body_bytes
        for each in resources
        for path in each.paths
        for where in path.methods.values()
        if isinstance(where, Uploaded)
    }


def copied(resources: list[Resource]) -> dict[str, tuple[str, ...]]:
    """The tables of which each node has all rows, with the prefixes of their ids; see
    ``interlink.copies``."""
    found: dict[str, tuple[str, ...]] = {}
    for each in resources:
        if any(isinstance(at, Everywhere) for path in each.paths for at in path.methods.values()):
            found[each.table] = (*found.get(each.table, ()), each.prefix)
    return found
