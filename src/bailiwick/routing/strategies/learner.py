"""Which gateway succeeds most, for payments of one kind; learnt from outcomes. Pure but for what it
remembers: time and chance are handed in, so that the same history decides the same.

Payments go to a *leader*, which stays until another is better by more than chance explains: so it
does not flap. Some explore: most of them go where a draw from what is believed leads (Thompson
sampling), the rest anywhere, so that a gateway that was given up is found again when it recovers.

A kind of payments knows little by itself: what is believed of wider kinds is its prior.
"""

import math
import random
from collections.abc import Callable, Hashable, Sequence

import msgspec

from bailiwick.routing.strategies.belief import Belief, Break, drawn
from bailiwick.topology.routes.parts import Facts

EXPLORE = 0.2
EXPLORE_COLD = 0.3
"""Share of payments that explore; and while a gateway is hardly known."""
ANYWHERE = 0.06
"""Share of those that explore that go anywhere."""
COLD = 30.0
"""Outcomes from which a gateway is known."""
MARGIN = 0.005
SURE = 1.4
"""Another leads once it is better by so much, and by so many standard deviations."""
PRIOR = (4.0, 1.0)
STRENGTH = 10.0
"""How many outcomes what is believed of the wider kind is worth."""
LOOK_MS = 250
"""For so long a ranking is good."""
KINDS_MAX = 20_000

Reason = Callable[[str, int], str]
"""Of a gateway's name and place."""
Kind = tuple[Hashable, ...]


def kinds(facts: Facts) -> tuple[Kind, ...]:
    """The kinds that a payment is of, the widest first."""
    method = facts.methods[0] if facts.methods else ""
    close = method, facts.currency, facts.country, facts.issuer_country
    return (), close[:2], close


class Learner:
    """What is believed of all gateways, for all kinds of payments."""

    def __init__(self) -> None:
        self._beliefs: dict[str, dict[Kind, Belief]] = {}
        self._count = 0
        self._standings: dict[tuple[Kind, tuple[str, ...]], _Standing] = {}

    def learn(self, gateway: str, facts: Facts, good: bool, now_ms: int, decided_ms: int) -> None:
        """How a payment ended that was decided on at ``decided_ms`` (Unix milliseconds)."""
        if self._count > KINDS_MAX:
            self._beliefs.clear()
            self._standings.clear()
            self._count = 0
        of = kinds(facts)
        chance = _mean(self._posterior(gateway, of, now_ms))
        for kind in of:
            seen = self._belief(gateway, kind).learn(good, chance, now_ms, decided_ms)
            if seen is not None:
                self._broken(gateway, kind, seen, now_ms)
                break

    def _broken(self, gateway: str, kind: Kind, seen: Break, now_ms: int) -> None:
        """A break of a wider kind of payments is one of all narrower ones."""
        for narrower, belief in self._beliefs[gateway].items():
            if len(narrower) > len(kind) and narrower[: len(kind)] == kind:
                if seen is Break.FALL:
                    belief.fell(now_ms)
                else:
                    belief.rose(now_ms)

    def order(self, facts: Facts, seed: str, names: Sequence[str]) -> tuple[list[str], Reason]:
        """The gateways, the first choice first, and what says why; ``seed`` decides whether and
        where to a payment explores."""
        standing = self._standing(kinds(facts), tuple(names), facts.at_ms)
        chance = random.Random(seed)
        order, believed = standing.order, standing.believed
        explores = chance.random() < (EXPLORE_COLD if standing.cold else EXPLORE)
        first = order[0]
        if explores and chance.random() < ANYWHERE:
            first = chance.choice(order)
        elif explores:
            of = {name: drawn(believed[name], chance) for name in order}
            first = max(order, key=lambda name: of[name])

        def reason(name: str, place: int) -> str:
            told = f"{_mean(believed[name]):.1%} of payments like this should succeed"
            return f"explored: {told}" if explores and not place else told

        if first != order[0]:
            order = [first, *(name for name in order if name != first)]
        return order, reason

    def rate(self, facts: Facts, gateway: str) -> float | None:
        """The share of successes lately; None while too little is known."""
        of = kinds(facts)
        weight = self._belief(gateway, of[-1]).weight(facts.at_ms)
        if weight + self._belief(gateway, of[0]).weight(facts.at_ms) < COLD:
            return None
        return _mean(self._posterior(gateway, of, facts.at_ms))

    def _standing(self, of: tuple[Kind, ...], names: tuple[str, ...], now_ms: int) -> "_Standing":
        key = of[-1], names
        known = self._standings.get(key)
        if known is not None and 0 <= now_ms - known.at_ms < LOOK_MS:
            return known
        believed = {name: self._posterior(name, of, now_ms) for name in names}
        leader = max(names, key=lambda name: _mean(believed[name]))
        if known is not None and not _better(believed[leader], believed[known.leader]):
            leader = known.leader
        order = sorted(names, key=lambda name: (name != leader, -_mean(believed[name])))
        cold = any(self._belief(name, of[0]).weight(now_ms) < COLD for name in names)
        standing = self._standings[key] = _Standing(now_ms, leader, order, believed, cold)
        return standing

    def _posterior(self, gateway: str, of: tuple[Kind, ...], now_ms: int) -> tuple[float, float]:
        prior = PRIOR
        for kind in of[:-1]:
            mean = _mean(self._belief(gateway, kind).posterior(now_ms, prior))
            prior = STRENGTH * mean, STRENGTH * (1 - mean)
        return self._belief(gateway, of[-1]).posterior(now_ms, prior)

    def _belief(self, gateway: str, kind: Kind) -> Belief:
        known = self._beliefs.get(gateway)
        if known is None:
            known = self._beliefs[gateway] = {}
        found = known.get(kind)
        if found is None:
            found = known[kind] = Belief()
            self._count += 1
        return found


class _Standing(msgspec.Struct, frozen=True):
    """Who leads, and how the others follow, at one moment."""

    at_ms: int
    leader: str
    order: list[str]
    believed: dict[str, tuple[float, float]]
    cold: bool


def _mean(posterior: tuple[float, float]) -> float:
    return posterior[0] / (posterior[0] + posterior[1])


def _better(one: tuple[float, float], other: tuple[float, float]) -> bool:
    """Whether one is better than another by more than chance explains."""
    gap = _mean(one) - _mean(other)
    return gap > MARGIN and gap > SURE * math.sqrt(_variance(one) + _variance(other))


def _variance(posterior: tuple[float, float]) -> float:
    whole = posterior[0] + posterior[1]
    return posterior[0] * posterior[1] / (whole * whole * (whole + 1))
