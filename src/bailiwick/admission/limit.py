"""How many requests may be at work in this node at once: a limit that follows their own time. Pure.

The shape is the gradient of Netflix's concurrency-limits and of Envoy's adaptive concurrency filter
(decision record 12): in each window the limit is multiplied by *allowed time / measured time* when
that is below 1, and grows by its square root when it is not and the limit was in use. What differs:

* Only a request's *own* time counts, without what it waited for its provider.
* The allowed time is no least time seen. Group commit makes a request slower and the node faster
  the more requests there are, long before it is overloaded. Allowed is a queueing target, and what
  the commits themselves take: a far standby is no overload either.
* After an overlong window the limit follows from what was really at work in it (Little's law), so
  that two windows in a row do not punish the same queue twice.
* Until it has met its first queue it grows by half in each window (slow start). Later it goes half
  of the way back to where it was last cut in each window, and by its square root beyond (binary
  increase): a stall of the disk would else cost seconds of capacity.
"""

from collections import deque
from math import isqrt

START = 256
"""What a fresh process begins with: nothing is measured yet."""
LEAST = 64
"""The limit never falls below. Fewer share no commits: each then costs more, and its own time does
not fall with the limit, which would end at the floor whatever came. And a stall must not lock the
node shut."""
SAMPLES_MIN = 8
WINDOW_MAX_MS = 2_000
"""A window that has too few samples by then is dropped: so little load overloads nothing."""
COMMITS = 3
"""Commits that a one-shot payment waits for: its own two, and two half ones under way before."""
MEMORY = 150
"""Windows over which the quickest commit is remembered: half a minute or more."""


class Limit:
    """The limit of one process. Times in milliseconds by whatever clock is handed in.

    Args:
        most: the limit never rises above.
        target_ms: how long requests may queue here.
    """

    def __init__(self, most: int, target_ms: float, now_ms: float) -> None:
        self.most = most
        self.least = min(LEAST, most)
        self.now = min(START, most)
        self.own_ms = 0.0
        self._target_ms = target_ms
        self._began_ms = now_ms
        self._sum_ms = 0.0
        self._samples = 0
        self._peak = 0
        self._unmet = True
        self._cut_at = 0
        self._commits_ms: deque[float] = deque(maxlen=MEMORY)

    @property
    def allowed_ms(self) -> float:
        """The own time up to which nothing is overloaded."""
        return self._target_ms + COMMITS * min(self._commits_ms, default=0.0)

    def began(self, at_work: int) -> None:
        """A request began; with it, so many are at work."""
        if at_work > self._peak:
            self._peak = at_work

    def ended(self, own_ms: float, commit_ms: float, at_work: int, now_ms: float) -> None:
        """A new payment ended.

        Args:
            own_ms: its time without what it waited for its provider.
            commit_ms: how long the latest commit took.
            at_work: requests still at work.
        """
        self._sum_ms += own_ms
        self._samples += 1
        age_ms = now_ms - self._began_ms
        # Twice the allowed time: most of a window's samples were let in under its own limit.
        if age_ms < 2 * self.allowed_ms:
            return
        if self._samples >= SAMPLES_MIN:
            self._commits_ms.append(commit_ms)
            self._turn(age_ms)
        elif age_ms < WINDOW_MAX_MS:
            return
        self._began_ms, self._sum_ms, self._samples, self._peak = now_ms, 0.0, 0, at_work

    def _turn(self, age_ms: float) -> None:
        self.own_ms = self._sum_ms / self._samples
        gradient = max(0.5, min(1.0, self.allowed_ms / max(self.own_ms, 0.001)))
        if gradient < 1.0:
            self._unmet = False
            self._cut_at = self.now
            at_work = self._sum_ms / age_ms  # Little: rate times time
            wanted = int(min(self.now, at_work) * gradient)
            self.now = max(self.least, self.now // 2, wanted)
        elif self._peak >= self.now * 0.8:
            step = self.now // 2 if self._unmet else (self._cut_at - self.now) // 2
            self.now = min(self.most, self.now + max(1, isqrt(self.now), step))
