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
TRIALS_MAX = 48
CALM_S = 60.0
"""What fails again sooner after it was let back in has not recovered: its next pause is twice as
long, and it has to show twice as much."""


class Pauses:
    """Pauses, and the trials after them, with hysteresis: what comes and goes is kept out longer
    and longer.

    Attributes:
        trials_left: successes that are lacking, in or after a pause; 0: there is none.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._shut_until = 0.0
        self._opened_at = -CALM_S
        self._pause_s = PAUSE_MIN_S
        self._trials = TRIALS
        self.trials_left = 0
        self._why = ""

    def shut(self, why: str) -> None:
        """Begin a pause."""
        if self.trials_left:
            self._pause_s = min(self._pause_s * 2, PAUSE_MAX_S)
        elif self._clock() - self._opened_at < CALM_S:
            self._pause_s = min(self._pause_s * 2, PAUSE_MAX_S)
            self._trials = min(self._trials * 2, TRIALS_MAX)
        else:
            self._pause_s, self._trials = PAUSE_MIN_S, TRIALS
        self._why = why or self._why
        self._shut_until = self._clock() + self._pause_s
        self.trials_left = self._trials

    def tried(self, good: bool) -> bool:
        """How a trial ended; whether that was the last."""
        if not good:
            self.shut("")
            return False
        self.trials_left -= 1
        if self.trials_left:
            return False
        self._opened_at = self._clock()
        return True

    @property
    def state(self) -> str:
        """ "open", "closed" for a pause, or "trial" after it."""
        if not self.trials_left:
            return "open"
        return "closed" if self._clock() < self._shut_until else "trial"

    def why(self, inflight: int) -> str | None:
        """None when payments may pass; during trials only a few at a time may."""
        if not self.trials_left:
            return None
        if self._clock() < self._shut_until:
            return self._why
        return "on trial after failures" if inflight >= TRIALS else None


class Breaker:
    """Closes a gateway that fails in real traffic; pure but for the clock that is handed in."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._recent: deque[bool] = deque(maxlen=WINDOW)
        self._pauses = Pauses(clock)

    def saw(self, good: bool) -> None:
        """One outcome of the provider; a decline is good: the provider works.

        What ends during a pause was begun before it: it neither lengthens nor ends the pause.
        """
        state = self._pauses.state
        if state == "closed":
            return
        self._recent.append(good)
        if state == "trial":
            if self._pauses.tried(good):
                self._recent.clear()
        elif len(self._recent) >= WINDOW_MIN and self.failures > FAILURES_MAX:
            self._pauses.shut(f"{self.failures:.0%} of its last {len(self._recent)} calls failed")

    @property
    def state(self) -> str:
        """ "open", "closed" for a pause, or "trial" after it."""
        return self._pauses.state

    @property
    def open(self) -> bool:
        """Whether all payments may pass."""
        return not self._pauses.trials_left

    @property
    def failures(self) -> float:
        """Share of failures among the last outcomes."""
        return self._recent.count(False) / len(self._recent) if self._recent else 0.0

    def why_shut(self, inflight: int) -> str | None:
        """None when payments may pass; during trials only a few at a time may."""
        return self._pauses.why(inflight)
