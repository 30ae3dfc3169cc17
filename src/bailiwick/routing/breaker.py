"""The breaker: closes a gateway that fails in real traffic, and lets it back in carefully. Pure but
for the clock that is handed in.

A window of the last outcomes; a pause that doubles; then a trickle of trial payments. A decline is
a good outcome: the provider works.
"""

from collections import deque
from collections.abc import Callable

WINDOW = 64
WINDOW_MIN = 12
"""Outcomes before a share of failures means anything."""
FAILURES_MAX = 0.5
PAUSE_MIN_S = 2.0
PAUSE_MAX_S = 60.0
TRIALS = 3
"""Successes in a row, after a pause, that open a gateway fully again."""


class Breaker:
    """Closes a gateway that fails in real traffic; pure but for the clock that is handed in."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._recent: deque[bool] = deque(maxlen=WINDOW)
        self._shut_until = 0.0
        self._pause_s = PAUSE_MIN_S
        self._trials_left = 0

    def saw(self, good: bool) -> None:
        """One outcome of the provider; a decline is good: the provider works.

        What ends during a pause was begun before it: it neither lengthens nor ends the pause.
        """
        if self._clock() < self._shut_until:
            return
        self._recent.append(good)
        if self._trials_left:
            self._trial(good)
        elif len(self._recent) >= WINDOW_MIN and self.failures > FAILURES_MAX:
            self._shut()

    def _trial(self, good: bool) -> None:
        if not good:
            self._pause_s = min(self._pause_s * 2, PAUSE_MAX_S)
            self._shut()
            return
        self._trials_left -= 1
        if not self._trials_left:
            self._pause_s = PAUSE_MIN_S
            self._recent.clear()

    def _shut(self) -> None:
        self._shut_until = self._clock() + self._pause_s
        self._trials_left = TRIALS

    @property
    def state(self) -> str:
        """ "open", "closed" for a pause, or "trial" after it."""
        if self._clock() < self._shut_until:
            return "closed"
        return "trial" if self._trials_left else "open"

    @property
    def failures(self) -> float:
        """Share of failures among the last outcomes."""
        return self._recent.count(False) / len(self._recent) if self._recent else 0.0

    def why_shut(self, inflight: int) -> str | None:
        """None when payments may pass; during trials only a few at a time may."""
        if self._clock() < self._shut_until:
            return f"{self.failures:.0%} of its last {len(self._recent)} calls failed"
        if self._trials_left and inflight >= TRIALS:
            return "on trial after failures"
        return None
