"""What access and nodes share about lists: whose cursor it is, and how large a page may be. Pure.

A page has fewer objects than were asked for, and ``has_more``, when they would take too many
bytes: as the format allows. Reasons for the figures are in docs/operating/sizes-and-limits.md.
"""

from typing import Any

import msgspec

from bailiwick.base.errors import ApiError
from bailiwick.base.ids import is_id, node_of

PAGE_BYTES = 2 * 1024 * 1024
"""Of objects in one node's page, but for a single larger one; the hop's answer takes twice that."""
LIST_BYTES = 32 * 1024 * 1024
"""Of the pages of all nodes for one list."""
ANSWER_BYTES = 8 * 1024 * 1024
"""Of objects in the answer to a client, but for a single larger one."""
OBJECT_BYTES = 64 * 1024
"""More than nearly all objects have: so many for each object of a page are enough at once."""
HEADER = "Bailiwick-Page-Bytes"
NEXT = "Bailiwick-Next"
"""Of a node's answer: the id of the object that comes after its page."""
_FIRST = ", first"
_DIGITS_MAX = 9
CURSORS = ("starting_after", "ending_before")


class Room(msgspec.Struct, frozen=True):
    """How many bytes of objects a node may put into a page.

    Attributes:
        first: the first object comes whatever its size; else a page may be empty, and have a
            ``NEXT`` all the same.
    """

    most: int = PAGE_BYTES
    first: bool = True

    @property
    def line(self) -> bytes:
        """The header line that tells a node so."""
        value = f"{self.most}{_FIRST if self.first else ''}"
        return f"{HEADER.lower()}: {value}\r\n".encode("ascii")


ALL = Room(2**53)
"""For an access process of an earlier version: it would take an early end for the last."""


def told(header: str | None, *, by_access: bool) -> Room:
    """The room that a request names, never more than ``PAGE_BYTES``."""
    digits, comma, _ = (header or "").partition(",")
    if not digits.isascii() or not digits.isdigit() or len(digits) > _DIGITS_MAX:
        return ALL if by_access else Room()
    return Room(min(int(digits), PAGE_BYTES), bool(comma))


def share(nodes: int, limit: int) -> Room:
    """The room of each of so many nodes for a list of ``limit`` objects."""
    return Room(min(PAGE_BYTES, LIST_BYTES // nodes, OBJECT_BYTES * limit), False)


def no_such(name: str, kind: str, cursor: str) -> ApiError:
    """The answer to a cursor that is no object of the list."""
    return ApiError.invalid(f"No such {kind}: '{cursor[:64]}'", param=name, code="resource_missing")


def home_of(name: str, kind: str, prefix: str, cursor: str) -> int:
    """The number of the node where a cursor's object must be. Raises ApiError (400)."""
    if not is_id(cursor, prefix):
        raise no_such(name, kind, cursor)
    return node_of(cursor)


def given(params: dict[str, Any]) -> list[tuple[str, str]]:
    """The cursors of a request, by name. Raises ApiError (400) if there are two."""
    found = [(name, params[name]) for name in CURSORS if params.get(name)]
    if len(found) > 1:
        raise ApiError.invalid(
            "starting_after and ending_before cannot be given together.", param="ending_before"
        )
    return [(name, cursor) for name, cursor in found if isinstance(cursor, str)]
