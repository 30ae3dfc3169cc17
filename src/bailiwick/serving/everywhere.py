"""What routes of objects that live at every node have in common: access chooses what all nodes must
have alike, and few of them are kept in memory."""

from collections.abc import Sequence
from typing import Protocol, TypeVar

from bailiwick.base.errors import ApiError
from bailiwick.base.sealing import SEAL
from bailiwick.interlink import paging
from bailiwick.interlink.resource import Resource
from bailiwick.interlink.sealed_resource import HEADER, Given, read_resource
from bailiwick.serving.context import NodeContext
from bailiwick.serving.route import Request
from bailiwick.topology.merchants import Principal


class Listed(Protocol):
    """What a page is asked with."""

    @property
    def limit(self) -> int:
        """How many at most."""

    @property
    def starting_after(self) -> str | None:
        """Those that follow this one."""

    @property
    def ending_before(self) -> str | None:
        """Those that precede this one."""


class _Named(Protocol):
    @property
    def id(self) -> str: ...


_Row = TypeVar("_Row", bound=_Named)


def given_by_access(
    node: NodeContext, request: Request, who: Principal, of: Resource, action: str = ""
) -> Given:
    """What access has chosen. Raises ApiError: 403 from anybody else, 400 for nonsense."""
    secret = node.refusals.secret
    told, proof = request.get_header(HEADER), request.get_header(SEAL)
    try:
        given = read_resource(secret, who, told, proof, action, of.prefix)
    except ValueError as error:
        raise ApiError.invalid(f"{HEADER}: {error}", param=HEADER) from None
    if given is None:
        raise ApiError.forbidden(f"Only access processes may choose the id of a {of.object}.")
    return given


def node_addressed(of: Resource) -> ApiError:
    """The answer to who sends to one node what must be done at all of them."""
    return ApiError.invalid(
        f"A {of.object} is made through an access process, which makes it at every node: send this "
        "request to the address of the API, not to a node.",
        code="node_addressed",
    )


def part_of(rows: Sequence[_Row], asked: Listed, what: str) -> tuple[list[_Row], bool]:
    """A page of rows in their order, and whether there are more that way.

    Raises:
        ApiError: 400, a cursor names none of them.
    """
    places = {each.id: place for place, each in enumerate(rows)}
    cursors = {"starting_after": asked.starting_after, "ending_before": asked.ending_before}
    for name, cursor in paging.given(cursors):
        if cursor not in places:
            raise paging.no_such(name, what, cursor)
    kept = list(rows)
    if asked.ending_before is not None:
        kept = kept[: places[asked.ending_before]]
        return kept[-asked.limit :], len(kept) > asked.limit
    if asked.starting_after is not None:
        kept = kept[places[asked.starting_after] + 1 :]
    return kept[: asked.limit], len(kept) > asked.limit
