"""The world of the routing simulation: what each gateway's chance of success is, at each moment.

Markets differ in size, in what succeeds there, and in how late one learns of it. Chances drift
slowly, each by itself; gateways have brown-outs, in all markets at once. All of it follows from the
seed.
"""

import math
import random
from dataclasses import dataclass, field

HOUR_S = 3600.0


@dataclass(frozen=True)
class Market:
    """Payments of one kind.

    Attributes:
        per_second: how many come; delay_s: after how long half of the outcomes are known.
        chances: of each gateway, before drift.
    """

    country: str
    currency: str
    method: str
    per_second: float
    delay_s: float
    chances: dict[str, float]


MARKETS = (
    Market("DE", "EUR", "card", 6.0, 1.0, {"alpha": 0.91, "beta": 0.88, "gamma": 0.80}),
    Market("BR", "BRL", "card", 4.0, 1.5, {"alpha": 0.74, "beta": 0.86, "delta": 0.82}),
    Market("IN", "INR", "upi", 5.0, 20.0, {"gamma": 0.83, "delta": 0.90, "alpha": 0.79}),
    Market("US", "USD", "card", 8.0, 1.0, {
        "beta": 0.87, "alpha": 0.90, "delta": 0.85, "gamma": 0.88,
    }),
    Market("NL", "EUR", "ideal", 2.0, 45.0, {"beta": 0.93, "gamma": 0.95}),
)  # fmt: skip
"""Gateways stand in the order of a static priority, as somebody set it who knew the averages of
other markets."""


@dataclass(frozen=True)
class Outage:
    """A brown-out: from ``start_s`` on, for ``lasts_s``, only ``left`` of a gateway's successes."""

    gateway: str
    start_s: float
    lasts_s: float
    left: float


@dataclass
class Simulated:
    """A world of some hours."""

    seed: int
    hours: float
    outages: list[Outage] = field(default_factory=list)

    def __post_init__(self) -> None:
        chance = random.Random(f"world|{self.seed}")
        names = sorted({name for market in MARKETS for name in market.chances})
        self._waves = {
            (market.country, name): [
                (chance.uniform(0.5, 3.0) * HOUR_S, chance.uniform(0, math.tau),
                 chance.uniform(0.01, 0.04))
                for _ in range(2)
            ]
            for market in MARKETS for name in market.chances
        }  # fmt: skip
        if not self.outages:
            for hour in range(int(self.hours)):
                start = (hour + chance.uniform(0.15, 0.75)) * HOUR_S
                self.outages.append(
                    Outage(
                        names[hour % len(names)],
                        start,
                        chance.uniform(300, 700),
                        chance.uniform(0.05, 0.35),
                    )
                )

    def chance(self, market: Market, gateway: str, at_s: float) -> float:
        """Of a payment to succeed."""
        found = market.chances[gateway]
        for period, phase, height in self._waves[market.country, gateway]:
            found += height * math.sin(math.tau * at_s / period + phase)
        found = min(max(found, 0.02), 0.99)
        for outage in self.outages:
            if outage.gateway == gateway and 0 <= at_s - outage.start_s < outage.lasts_s:
                found *= outage.left
        return found
