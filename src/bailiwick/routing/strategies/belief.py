"""What is believed of one gateway's chance of success, for payments of one kind. Pure.

Successes and failures are counted, and forgotten by half every ``HALF_LIFE_MS`` (discounted
Thompson sampling: Raj and Kalyani, arXiv:1707.09727), so that a drift is followed. That is too slow
for a break: a two-sided CUSUM (Page, Biometrika 1954; for bandits Liu, Lee and Shroff,
arXiv:1711.03539) looks for one. When it finds a fall, only what came after it counts; when it finds
that the gateway is back, what was known before the fall counts again.
"""

import math
import random
from enum import Enum

HALF_LIFE_MS = 1_800_000
WORSE = 0.75
"""A fall to this part of the chance believed is looked for;"""
BETTER = 0.3
"""and a rise that leaves this part of the failures."""
ALARM = 8.0
"""In units of log likelihood: at an unchanged chance the alarm comes once in thousands of
payments; at a break, after some eight."""
ALARM_BACK = 4.0
"""The same for the rise after a fall, which is expected, and costs little if it is none."""
KNOWN_MIN = 20.0
"""Outcomes before a break can be seen."""
_EDGE = 0.02


class Break(Enum):
    """What was seen."""

    FALL = "fall"
    RISE = "rise"


class Belief:
    """Counts of one gateway and kind of payments."""

    __slots__ = ("_at_ms", "_bad", "_before", "_broke_ms", "_fall", "_good", "_rise")

    def __init__(self) -> None:
        self._good = self._bad = 0.0
        self._at_ms = 0
        self._fall = _Run()
        self._rise = _Run()
        self._broke_ms = 0
        self._before: tuple[float, float] | None = None
        """The counts as they were when it fell, until it has risen again."""

    def weight(self, now_ms: int) -> float:
        """How many outcomes are remembered, those of long ago in part."""
        self._forget(now_ms)
        return self._good + self._bad

    def posterior(self, now_ms: int, prior: tuple[float, float]) -> tuple[float, float]:
        """The parameters of the beta distribution of the chance."""
        self._forget(now_ms)
        return self._good + prior[0], self._bad + prior[1]

    def learn(self, good: bool, chance: float, now_ms: int, decided_ms: int) -> Break | None:
        """Count an outcome; the break that it shows, if it does: against ``chance``, what was
        believed of just this payment. What was decided before the latest break says nothing of
        what is since."""
        if decided_ms < self._broke_ms:
            return None
        self._forget(now_ms)
        known = self._good + self._bad
        weight = 0.5 ** (max(now_ms - decided_ms, 0) / HALF_LIFE_MS)
        self._good += weight * good
        self._bad += weight * (not good)
        if known < KNOWN_MIN and self._before is None:
            return None
        chance = min(max(chance, _EDGE), 1 - _EDGE)
        if self._fall.step(good, chance, chance * WORSE) > ALARM:
            run = self._fall
            self.fell(now_ms)
            self._good, self._bad = float(run.good), float(run.bad)
            return Break.FALL
        if self._rise.step(good, chance, 1 - (1 - chance) * BETTER) > (
            ALARM if self._before is None else ALARM_BACK
        ):
            run = self._rise
            back = self._before is not None
            self.rose(now_ms)
            if not back:
                self._good, self._bad = float(run.good), float(run.bad)
            return Break.RISE
        return None

    def fell(self, now_ms: int) -> None:
        """Nothing that was known is so any more, for now."""
        if self._before is None:
            self._forget(now_ms)
            self._before = self._good, self._bad
        self._good = self._bad = 0.0
        self._begin(now_ms)

    def rose(self, now_ms: int) -> None:
        """What was known before it fell is so again."""
        if self._before is not None:
            self._good, self._bad = self._before
            self._at_ms = now_ms
            self._before = None
        self._begin(now_ms)

    def _begin(self, now_ms: int) -> None:
        self._broke_ms = now_ms
        self._fall, self._rise = _Run(), _Run()

    def _forget(self, now_ms: int) -> None:
        passed = now_ms - self._at_ms
        if passed > 0:
            kept = 0.5 ** (passed / HALF_LIFE_MS)
            self._good *= kept
            self._bad *= kept
            self._at_ms = now_ms


class _Run:
    """One side of the CUSUM: how much more likely a break is, and what came since it may have
    come."""

    __slots__ = ("bad", "good", "score")

    def __init__(self) -> None:
        self.score = 0.0
        self.good = self.bad = 0

    def step(self, good: bool, before: float, after: float) -> float:
        """One outcome more; the score."""
        self.score += math.log(after / before if good else (1 - after) / (1 - before))
        if self.score <= 0:
            self.score, self.good, self.bad = 0.0, 0, 0
        else:
            self.good += good
            self.bad += not good
        return self.score


def drawn(posterior: tuple[float, float], chance: random.Random) -> float:
    """A chance of success, drawn from what is believed."""
    return chance.betavariate(*posterior)
