"""Outcomes counted in a sliding window of time. Pure but for the clock that is handed in."""

import math
from collections.abc import Callable, Sequence
from enum import IntEnum


class Seen(IntEnum):
    """What an outcome says of a provider.

    GOOD: it did what it was asked for, or goes on with it. REFUSED: a decline that is the payer's:
    no money, a wrong number. VAGUE: a decline of which nobody says whose it is. FAILED: no definite
    answer, or it was unable.
    """

    GOOD = 0
    REFUSED = 1
    VAGUE = 2
    FAILED = 3


_SLOW, _MS = 4, 5
_SIZE = 6


class Counts:
    """How many calls ended how.

    Attributes:
        slow: calls that took far longer than usual.
        ms: how long all took together.
    """

    __slots__ = ("calls", "failed", "good", "ms", "refused", "slow", "vague")

    def __init__(
        self,
        good: int = 0,
        refused: int = 0,
        vague: int = 0,
        failed: int = 0,
        slow: int = 0,
        ms: int = 0,
    ) -> None:
        self.good, self.refused, self.vague, self.failed = good, refused, vague, failed
        self.calls = good + refused + vague + failed
        self.slow, self.ms = slow, ms

    def less(self, other: "Counts") -> "Counts":
        """Without those of another."""
        return Counts(
            *(max(0, one - two) for one, two in zip(self._all(), other._all(), strict=True))
        )

    def times(self, factor: int) -> "Counts":
        """So many times as many."""
        return Counts(*(each * factor for each in self._all()))

    def _all(self) -> tuple[int, ...]:
        return self.good, self.refused, self.vague, self.failed, self.slow, self.ms


class Window:
    """The counts of the last ``buckets`` times ``bucket_s`` seconds. What is older goes ``into``
    another window, if there is one; what was cleared does not."""

    def __init__(
        self,
        clock: Callable[[], float],
        bucket_s: float,
        buckets: int,
        into: "Window | None" = None,
    ) -> None:
        self._clock = clock
        self._into = into
        self._bucket_s = bucket_s
        self._size = buckets
        self._buckets = [[0] * _SIZE for _ in range(buckets)]
        self._sums = [0] * _SIZE
        self._at = int(clock() / bucket_s)

    def add(self, seen: Seen, ms: int, slow: bool) -> None:
        """One outcome."""
        self._turn()
        bucket = self._buckets[self._at % self._size]
        for counts in (bucket, self._sums):
            counts[seen] += 1
            counts[_SLOW] += slow
            counts[_MS] += ms

    def take(self, counts: Sequence[int]) -> None:
        """The counts of another window's bucket."""
        self._turn()
        bucket = self._buckets[self._at % self._size]
        for place, count in enumerate(counts):
            bucket[place] += count
            self._sums[place] += count

    def counts(self) -> Counts:
        """What is in it at this moment."""
        self._turn()
        return Counts(*self._sums)

    def clear(self) -> None:
        """Forget all."""
        self._buckets = [[0] * _SIZE for _ in range(self._size)]
        self._sums = [0] * _SIZE

    def forget(self, other: "Window") -> None:
        """Without what another of the same size has, at each time."""
        self._turn()
        other._turn()
        for mine, theirs in zip(self._buckets, other._buckets, strict=True):
            for place, count in enumerate(theirs):
                gone = min(mine[place], count)
                mine[place] -= gone
                self._sums[place] -= gone

    def _turn(self) -> None:
        """Drop what is too old by now."""
        now = int(self._clock() / self._bucket_s)
        passed = now - self._at
        if passed <= 0:
            return
        for step in range(1, min(passed, self._size) + 1):
            bucket = self._buckets[(self._at + step) % self._size]
            if self._into is not None:
                self._into.take(bucket)
            for place, count in enumerate(bucket):
                self._sums[place] -= count
                bucket[place] = 0
        self._at = now


def at_least(count: int, of: int, z: float = 3.0) -> float:
    """A share that is surely reached: the lower bound of Wilson's interval, here at three standard
    deviations. E. B. Wilson, Probable inference, the law of succession, and statistical inference,
    JASA 22 (1927)."""
    if of <= 0:
        return 0.0
    share, zz = count / of, z * z
    middle = share + zz / (2 * of)
    spread = z * math.sqrt(share * (1 - share) / of + zz / (4 * of * of))
    return max(0.0, (middle - spread) / (1 + zz / of))
