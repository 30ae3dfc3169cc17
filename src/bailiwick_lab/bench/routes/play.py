"""Payments of a simulated world, routed by each strategy side by side; what came of it."""

import heapq
import math
import random
from dataclasses import dataclass, field
from itertools import pairwise

from bailiwick.routing.strategies.learner import Learner
from bailiwick.topology.routes.parts import Facts
from bailiwick_lab.bench.routes.world import MARKETS, Market, Outage, Simulated

START_MS = 1_800_000_000_000
STEP_S = 60
WINDOW_S = 5.0
SEEN_MIN = 4
LEFT_SHARE = 0.5
"""A gateway in a brown-out is given up when under this share of its payments goes there."""


@dataclass
class Played:
    """What came of a simulation.

    Attributes:
        payments: how many there were.
        static, learned, oracle: expected successes, by the true chances of what was chosen.
        series: for each minute, the three rates of success.
        reactions: of each brown-out that hit a leader, and its market: seconds until less than
            half of the payments went there.
        turns: changes of the gateway that most payments of a market went to, from one minute to
            the next; needed: those of the oracle.
    """

    payments: int = 0
    static: float = 0.0
    learned: float = 0.0
    oracle: float = 0.0
    series: list[tuple[float, float, float, float]] = field(default_factory=list)
    shares: dict[str, list[dict[str, float]]] = field(default_factory=dict)
    reactions: list[tuple[Outage, Market, float]] = field(default_factory=list)
    turns: int = 0
    needed: int = 0

    @property
    def recovered(self) -> float:
        """The share of the oracle's advantage over static priority that learning recovers."""
        return (self.learned - self.static) / (self.oracle - self.static)


def play(world: Simulated) -> Played:
    """All payments of a world."""
    chance = random.Random(f"payments|{world.seed}")
    learner, found = Learner(), Played()
    late: list[tuple[float, int, str, Facts, bool, int]] = []
    log: dict[str, list[tuple[float, str]]] = {market.country: [] for market in MARKETS}
    best: dict[str, list[str]] = {market.country: [] for market in MARKETS}
    minute, sums = 0, [0.0, 0.0, 0.0, 0]
    per_second = sum(market.per_second for market in MARKETS)
    weights = [market.per_second for market in MARKETS]
    at = 0.0
    while (at := at + chance.expovariate(per_second)) < world.hours * 3600:
        while late and late[0][0] <= at:
            _, _, gateway, facts, good, decided = heapq.heappop(late)
            learner.learn(gateway, facts, good, START_MS + int(at * 1000), decided)
        while at >= (minute + 1) * STEP_S:
            static, learned, oracle, count = sums
            whole = max(count, 1)
            found.series.append((minute, static / whole, learned / whole, oracle / whole))
            for market in MARKETS:
                truth = {name: world.chance(market, name, at) for name in market.chances}
                best[market.country].append(max(truth, key=lambda name: truth[name]))
            minute, sums = minute + 1, [0.0, 0.0, 0.0, 0]
        (market,) = chance.choices(MARKETS, weights)
        number = found.payments = found.payments + 1
        facts = Facts(
            "acct_sim", True, market.country, market.currency, 1000, (market.method,),
            START_MS + int(at * 1000),
        )  # fmt: skip
        chances = {name: world.chance(market, name, at) for name in market.chances}
        names = list(chances)
        chosen = learner.order(facts, f"{world.seed}|{number}", names)[0][0]
        log[market.country].append((at, chosen))
        three = chances[names[0]], chances[chosen], max(chances.values())
        found.static, found.learned, found.oracle = (
            whole + each
            for whole, each in zip((found.static, found.learned, found.oracle), three, strict=True)
        )
        for place, each in enumerate(three):
            sums[place] += each
        sums[3] += 1
        good = chance.random() < chances[chosen]
        wait = chance.lognormvariate(math.log(market.delay_s), 0.6)
        heapq.heappush(late, (at + wait, number, chosen, facts, good, facts.at_ms))
    _judge(world, found, log, best)
    return found


def _judge(
    world: Simulated,
    found: Played,
    log: dict[str, list[tuple[float, str]]],
    best: dict[str, list[str]],
) -> None:
    for market in MARKETS:
        went = log[market.country]
        shares = _shares(market, went, len(best[market.country]))
        found.shares[market.country] = shares
        leaders = [max(each, key=lambda name: each[name]) for each in shares if each]
        found.turns += sum(a != b for a, b in pairwise(leaders))
        named = best[market.country]
        found.needed += sum(a != b for a, b in pairwise(named))
        for outage in world.outages:
            took = _reaction(outage, went)
            if took is not None:
                found.reactions.append((outage, market, took))


def _shares(market: Market, went: list[tuple[float, str]], minutes: int) -> list[dict[str, float]]:
    counts: list[dict[str, int]] = [dict.fromkeys(market.chances, 0) for _ in range(minutes)]
    for at, name in went:
        if int(at // STEP_S) < minutes:
            counts[int(at // STEP_S)][name] += 1
    return [
        {name: n / whole for name, n in each.items()}
        for each in counts
        if (whole := sum(each.values()))
    ]


def _reaction(outage: Outage, went: list[tuple[float, str]]) -> float | None:
    """Seconds from the start of a brown-out until under half of a market's payments go there, over
    the seconds that follow; None where it was not the leader there."""
    before = [name for at, name in went if 0 < outage.start_s - at < STEP_S]
    if not before or before.count(outage.gateway) < 0.8 * len(before):
        return None
    end = outage.start_s + outage.lasts_s
    during = [(at, name) for at, name in went if outage.start_s <= at < end]
    for at, _ in during:
        window = [name for then, name in during if at - WINDOW_S < then <= at]
        if len(window) >= SEEN_MIN and window.count(outage.gateway) < LEFT_SHARE * len(window):
            return at - outage.start_s
    return outage.lasts_s
