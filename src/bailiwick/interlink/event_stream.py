"""A stream of events: what access and nodes say to each other about it, and where a client left
off. Pure.

A node tells events in the order of its transactions, and only of those below which none is under
way: nothing can turn up behind a place that was reached. So a place is a transaction, and how many
of a merchant's events of it have been told. A client has the places of all nodes in the ``id`` of
each event, and brings them back in ``Last-Event-ID``
(https://html.spec.whatwg.org/multipage/server-sent-events.html).
"""

import re
from collections.abc import Mapping

import msgspec

from bailiwick.base.errors import ApiError

MEDIA = "text/event-stream"
BATCH = "application/vnd.bailiwick.event-batch+json"
"""What access asks a node for: the next events as JSON."""
AFTER = "Bailiwick-After"
"""From which place on; ``@`` and a time: what was told since then; nothing: what is to come."""
LAST = "Last-Event-ID"
RESUMED_S = 24 * 3600
"""How long ago a client may have left off."""
MARGIN_S = 60
"""Told again, where all that is known of a place is its time: ids do not tell the order of
commits."""
BATCH_EVENTS = 100
BATCH_BYTES = 512 * 1024
"""Of objects in a batch, but for a single larger one."""
_PLACE = re.compile(r"([0-9]{1,18})\.([0-9]{1,6})")
_CURSOR = re.compile(r"[0-9]{10}(,[0-9]{1,5}:[0-9]{1,18}\.[0-9]{1,6})*")


class Place(msgspec.Struct, frozen=True):
    """All is told of transactions before ``xact``, and ``told`` events of it."""

    xact: int
    told: int = 0

    def __str__(self) -> str:
        return f"{self.xact}.{self.told}"


class Batch(msgspec.Struct, frozen=True):
    """A node's next events.

    Attributes:
        places: after each of them.
        after: after all that were looked at.
        more: whether there are more at once.
    """

    data: list[msgspec.Raw]
    places: list[str]
    after: str
    more: bool


class Cursor(msgspec.Struct, frozen=True):
    """Where a client left off.

    Attributes:
        at_s: when that was; for nodes without a place, from when on it wants to be told.
        places: of nodes, by their numbers.
    """

    at_s: int
    places: Mapping[int, str]

    def __str__(self) -> str:
        return ",".join([str(self.at_s), *(f"{n}:{place}" for n, place in self.places.items())])


def place_of(text: str) -> Place:
    """Raises ApiError (400)."""
    match = _PLACE.fullmatch(text)
    if match is None:
        raise _none_of_ours()
    return Place(int(match[1]), int(match[2]))


def cursor_of(text: str, now_s: int) -> Cursor:
    """What a client brings back. Raises ApiError: 400, it is none of ours, or too old."""
    if not _CURSOR.fullmatch(text):
        raise _none_of_ours()
    at, *places = text.split(",")
    if not now_s - RESUMED_S <= int(at) <= now_s + MARGIN_S:
        raise ApiError.invalid(
            f"{LAST}: it is more than {RESUMED_S // 3600} hours old. Read the list of events "
            "(created[gte]), and begin a stream without it.",
            param=LAST,
            code="stream_too_old",
        )
    pairs = (each.split(":") for each in places)
    return Cursor(int(at), {int(number): place for number, place in pairs})


def wanted(accept: str | None, media: str = MEDIA) -> bool:
    """Whether an ``Accept`` names a media type."""
    given = (each.partition(";")[0].strip().lower() for each in (accept or "").split(","))
    return media in given


def _none_of_ours() -> ApiError:
    return ApiError.invalid(
        f"{LAST} is not the id of an event of such a stream: leave it out.", param=LAST
    )
