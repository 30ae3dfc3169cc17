"""The outbox page by page, for whoever has claimed it: first all of it, then what comes after."""

from enum import Enum
from typing import Generic, Protocol, TypeVar

from bailiwick.delivery.outbox import Claim, Followed, Position

_WINDOW_MIN, _WINDOW, _WINDOW_MAX = 16, 1_024, 1 << 40


Row = TypeVar("Row", bound=Followed)


class Pages(Protocol[Row]):
    """An outbox, by its pages."""

    async def follow(self, after: Position, below: int, limit: int) -> list[Row]:
        """Rows of transactions from ``after`` to ``below``, in their order."""

    async def sweep(self, after: Position, limit: int) -> list[Row]:
        """Rows subject by subject."""


class Left(Enum):
    """What a pass has left for us: nothing (perhaps another process relays, or the node is
    fenced), more that can be sent at once, or what a transaction that still runs has begun."""

    NOTHING = 0
    MORE = 1
    LATER = 2


class Reading(Generic[Row]):
    """Reads one consumer's pages.

    Attributes:
        window: transactions that a page may reach over.
    """

    def __init__(self, outbox: Pages[Row]) -> None:
        self._outbox = outbox
        self.window = _WINDOW

    async def page(
        self, position: Position, claim: Claim, size: int
    ) -> tuple[list[Row], Position, Left]:
        """At most ``size`` events, the place after them, and what is left then."""
        if position.sweeping:
            rows = await self._outbox.sweep(position, size)
            if len(rows) == size:
                return rows, place_of(rows[-1], position), Left.MORE
            return rows, Position(False, position.xact), Left.MORE
        # Transactions by windows: sorting all that has gathered, for each page of it, would
        # take longer the more there is.
        below = min(claim.horizon, position.xact + self.window)
        rows = await self._outbox.follow(position, below, size)
        if len(rows) == size:
            self.window = max(self.window // 2, _WINDOW_MIN)
            return rows, place_of(rows[-1], position), Left.MORE
        if len(rows) < size // 4:
            self.window = min(self.window * 4, _WINDOW_MAX)
        if below < claim.horizon:
            return rows, Position(False, below), Left.MORE
        # A place may be above the horizon: what a sweep began with was that of another moment.
        after = Position(False, below) if below > position.xact else position
        return rows, after, Left.LATER if claim.busy else Left.NOTHING


def place_of(row: Followed, before: Position) -> Position:
    """The place after a row; a sweep keeps where following begins."""
    xact = before.xact if before.sweeping else row.xact
    return Position(before.sweeping, xact, row.subject, row.seq)
