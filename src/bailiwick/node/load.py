"""How loaded this node is: what it reports as its usage state, and when it refuses.

Admission counts payments under way against the capacity; a share is kept for what finishes
payments that were begun, so that new ones are shed first.
"""

from collections import deque

import msgspec

from bailiwick.base.clock import boot_ns
from bailiwick.store.database import Store

RECENT = 256


class Usage(msgspec.Struct, frozen=True):
    """The node's report, as access reads it."""

    node: int
    inflight: int
    capacity: int
    error_rate: float
    database_lag_ms: int
    draining: bool
    epoch: int


class Load:
    """Counts what is under way and how it ends."""

    def __init__(self, node: int, capacity: int, store: Store) -> None:
        self._node = node
        self._store = store
        self.capacity = capacity
        self.inflight = 0
        self.draining = False
        self.fenced = False
        self.database_answers = True
        self._recent: deque[bool] = deque(maxlen=RECENT)
        self._header = ("", 0)

    def ended(self, failed: bool) -> None:
        """A request ended; ``failed`` by our own fault."""
        self._recent.append(failed)

    @property
    def error_rate(self) -> float:
        """Share (0 to 1) of recent requests that failed by our own fault."""
        return sum(self._recent) / len(self._recent) if self._recent else 0.0

    @property
    def database_lag_ms(self) -> int:
        """How long the slower lane's oldest batch under way, or else its last one, took."""
        return max(self._store.creates.lag_ms, self._store.moves.lag_ms)

    def refusal(self) -> str | None:
        """Why a new payment is not taken now, or None."""
        if self.draining:
            return "draining"
        return "overloaded" if self.inflight > self.capacity else None

    def usage(self, epoch: int) -> Usage:
        """The report of this moment."""
        return Usage(
            self._node,
            self.inflight,
            self.capacity,
            round(self.error_rate, 3),
            self.database_lag_ms,
            self.draining or self.fenced,
            epoch,
        )

    def header(self, epoch: int) -> str:
        """The report as a header, at most 10 ms old: it rides on every answer."""
        text, made = self._header
        now = boot_ns()
        if now - made > 10_000_000:
            text = msgspec.json.encode(self.usage(epoch)).decode()
            self._header = (text, now)
        return text
