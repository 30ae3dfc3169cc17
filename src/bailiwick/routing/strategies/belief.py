"""What is believed of one gateway's chance of success, for payments of one kind. Pure.

Successes and failures are counted, and forgotten by half every ``HALF_LIFE_MS`` (discounted
Thompson sampling: Raj and Kalyani, arXiv:1707.09727), so that a drift is followed. That is too slow
for a break: a two-sided CUSUM (Page, Biometrika 1954; for bandits Liu, Lee and Shroff,
arXiv:1711.03539) looks for one, and when it finds one, only what came after it counts.
"""

import math
import random

HALF_LIFE_MS = 900_000
WORSE = 0.75
"""A fall to this part of the chance believed is looked for;"""
BETTER = 0.5
"""and a rise that takes away this part of the failures."""
ALARM = 7.0
"""In units of log likelihood: at an unchanged chance the alarm comes once in thousands of
payments; at a break, after some eight."""
KNOWN_MIN = 20.0
"""Outcomes before a break can be seen."""
_EDGE = 0.02


class Belief:
    """Counts of one gateway and kind of payments.

    Attributes:
        broke_ms: when the latest break was seen; 0: never.
    """

    __slots__ = ("_at_ms", "_bad", "_fall", "_good", "_rise", "broke_ms")

    def __init__(self) -> None:
        self._good = self._bad = 0.0
        self._at_ms = 0
        self._fall = _Run()
        self._rise = _Run()
        self.broke_ms = 0

    def weight(self, now_ms: int) -> float:
        """How many outcomes are remembered, those of long ago in part."""
        self._forget(now_ms)
        return self._good + self._bad

    def posterior(self, now_ms: int, prior: tuple[float, float]) -> tuple[float, float]:
        """The parameters of the beta distribution of the chance."""
        self._forget(now_ms)
        return self._good + prior[0], self._bad + prior[1]

    def learn(self, good: bool, now_ms: int, decided_ms: int) -> bool:
        """Count an outcome; whether it shows a break. What was decided before the latest break
        says nothing of what is since."""
        if decided_ms < self.broke_ms:
            return False
        self._forget(now_ms)
        known = self._good + self._bad
        chance = min(max(self._good / known, _EDGE), 1 - _EDGE) if known else 0.5
        weight = 0.5 ** (max(now_ms - decided_ms, 0) / HALF_LIFE_MS)
        self._good += weight * good
        self._bad += weight * (not good)
        if known < KNOWN_MIN:
            return False
        fallen = self._fall.step(good, chance, chance * WORSE)
        risen = self._rise.step(good, chance, 1 - (1 - chance) * BETTER)
        if not fallen and not risen:
            return False
        run = self._fall if fallen else self._rise
        self._good, self._bad = float(run.good), float(run.bad)
        self.broken(now_ms)
        return True

    def broken(self, now_ms: int) -> None:
        """Begin to look anew."""
        self.broke_ms = now_ms
        self._fall, self._rise = _Run(), _Run()

    def forget_all(self, now_ms: int) -> None:
        """A break was seen in a wider kind of payments: what was known of this one is past."""
        self._good = self._bad = 0.0
        self._at_ms = now_ms
        self.broken(now_ms)

    def _forget(self, now_ms: int) -> None:
        passed = now_ms - self._at_ms
        if passed > 0:
            kept = 0.5 ** (passed / HALF_LIFE_MS)
            self._good *= kept
            self._bad *= kept
            self._at_ms = now_ms


class _Run:
    """One side of the CUSUM: how much more likely a break is, since when it may have come."""

    __slots__ = ("bad", "good", "score")

    def __init__(self) -> None:
        self.score = 0.0
        self.good = self.bad = 0

    def step(self, good: bool, before: float, after: float) -> bool:
        """One outcome more; whether the alarm is raised."""
        self.score += math.log(after / before if good else (1 - after) / (1 - before))
        if self.score <= 0:
            self.score, self.good, self.bad = 0.0, 0, 0
            return False
        self.good += good
        self.bad += not good
        return self.score > ALARM


def drawn(posterior: tuple[float, float], chance: random.Random) -> float:
    """A chance of success, drawn from what is believed."""
    return chance.betavariate(*posterior)
