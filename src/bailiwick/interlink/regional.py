"""Places with strict residency are served by access processes of their own region only.

An access process stands in one node's region, if it was told so. What comes elsewhere about such
a place is answered 421, with the address to use. For a new payment its location says so; for one
that exists only its node can: it is asked first, by the id alone, and nothing else is sent there
until it has said that the payment may be handled here.
"""

from collections import OrderedDict

import msgspec

from bailiwick.base.errors import ApiError
from bailiwick.base.ids import is_id
from bailiwick.jurisdiction.assign import Assignment
from bailiwick.topology.topology import Node, Topology

PATH = "/internal/residency/"
WRONG_REGION = "wrong_region"
REMEMBERED_MAX = 20_000


class Stays(msgspec.Struct, frozen=True):
    """A node's word on one of its objects: whether it must not be handled in the asker's region."""

    stays: bool


word_of = msgspec.json.Decoder(Stays)


class Region:
    """Where this process stands, if it was told.

    Attributes:
        name: of the node whose region it is.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._known: OrderedDict[str, bool] = OrderedDict()

    def is_elsewhere(self, node: Node) -> bool:
        """Whether a node is in another region, so that what it has may have to stay there."""
        return node.name != self.name

    def line(self, topology: Topology) -> bytes:
        """The header line that tells a node where its answer would go."""
        here = topology.node_named(self.name)
        return b"" if here is None else b"bailiwick-region: %d\r\n" % here.number

    def recall(self, identifier: str) -> bool | None:
        """What a node said of an object before, which never changes."""
        return self._known.get(identifier)

    def remember(self, identifier: str, stays: bool) -> None:
        """Keep a node's word."""
        if not is_id(identifier):
            return
        self._known[identifier] = stays
        if len(self._known) > REMEMBERED_MAX:
            self._known.popitem(last=False)

    def require(self, assignment: Assignment, topology: Topology) -> None:
        """Turn a new payment away whose place is served in its own region only.

        Raises:
            ApiError: 421, with the address to use.
        """
        if assignment.residency != "strict":
            return
        considered = assignment.considered
        if any(c.name == self.name and c.verdict != "not_allowed" for c in considered):
            return
        home = topology.by_number[assignment.home]
        raise wrong_region(f"Payments of {assignment.rule} are taken", home.url, param="location")


def wrong_region(what: str, url: str, param: str | None = None) -> ApiError:
    """The answer to what must be asked elsewhere; ``url``: where."""
    return ApiError(
        421,
        "invalid_request_error",
        f"{what} in their own region only. Send this request to {url}.",
        code=WRONG_REGION,
        param=param,
        extra={"url": url},
    )
