"""Past payments routed once more, by other rules: what would have gone where, at which cost, and
what may have come of it. Pure.

Every gateway counts as open. What would have succeeded nobody knows: it is taken that payments of
one kind succeed at a gateway as often as those that went there did. Where none did, nothing is
said of it.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from bailiwick.routing.match import GatewayFacts, Wanted, match
from bailiwick.routing.strategies.comparison import compared
from bailiwick.routing.strategies.learner import Kind, kinds
from bailiwick.routing.strategies.plan import price
from bailiwick.routing.strategies.router import Router
from bailiwick.topology.routes.table import RoutingTable

NO_RULE = "(none)"
NOWHERE = "no gateway"
RATED_MIN = 20
"""Attempts of one kind at a gateway before their share of successes is taken; else it is that of
all its payments of the type and currency, or of all."""


class Side(msgspec.Struct):
    """Payments as they went, or as they would.

    Attributes:
        gateways: how many went first to each.
        cost: by currency, in ten-thousandths of a minor unit; of gateways that are configured.
    """

    gateways: Counter[str]
    cost: Counter[str]


class DryRun:
    """Collects past payments in the order of time; ``gateways``: as they are configured now."""

    def __init__(self, gateways: Sequence[GatewayFacts], table: RoutingTable) -> None:
        self._gateways = gateways
        self._by_name = {each.name: each for each in gateways}
        self._table = table
        self._router = Router(lambda: table)
        self._rules: Counter[str] = Counter()
        self._moved: Counter[tuple[str, str]] = Counter()
        self._was = Side(Counter(), Counter())
        self._would = Side(Counter(), Counter())
        self._tried: Counter[tuple[str, Kind]] = Counter()
        self._good: Counter[tuple[str, Kind]] = Counter()
        self._went: Counter[tuple[str, Kind]] = Counter()
        self._would_go: Counter[tuple[str, Kind]] = Counter()
        self._met: dict[str, tuple[int, int]] = {}

    def add(
        self, wanted: Wanted, attempts: Sequence[tuple[str, bool]], met: str | None = None
    ) -> None:
        """One payment that was tried: each attempt's gateway, and whether it succeeded; ``met``:
        the rule that it met then."""
        facts = wanted.facts
        assert facts is not None, "it is made of a payment"
        of, was = kinds(facts), attempts[0][0]
        plan = self._router.plan(wanted)
        routing = match(self._gateways, wanted, (), plan, 0)
        would = routing.gateway or NOWHERE
        self._rules[routing.rule.name if routing.rule is not None else ""] += 1
        self._moved[was, would] += 1
        for side, name in ((self._was, was), (self._would, would)):
            side.gateways[name] += 1
            gateway = self._by_name.get(name)
            if gateway is not None:
                side.cost[wanted.currency] += price(self._table, gateway, facts)
        self._went[was, of[-1]] += 1
        self._would_go[would, of[-1]] += 1
        good, count = self._met.get(met or NO_RULE, (0, 0))
        self._met[met or NO_RULE] = good + attempts[0][1], count + 1
        for name, good in attempts:
            for kind in of:
                self._tried[name, kind] += 1
                self._good[name, kind] += good
            if self._table.learns:
                self._router.learn(name, facts, good, facts.at_ms)
        if plan is not None:
            self._router.count(plan, routing)

    def report(self) -> dict[str, Any]:
        """The comparison; costs in minor units."""
        moved = {pair: count for pair, count in self._moved.items() if pair[0] != pair[1]}
        return {
            "payments": self._moved.total(),
            "moved": sum(moved.values()),
            "moves": [
                {"from": was, "to": would, "payments": count}
                for (was, would), count in sorted(moved.items(), key=lambda each: -each[1])
            ],
            "rules": {
                rule.name: self._rules[rule.name] for rule in self._table.rules
            } | {NO_RULE: self._rules[""]},
            "before": self._side(self._was, self._went),
            "after": self._side(self._would, self._would_go),
            "in_fact": compared(self._met),
        }  # fmt: skip

    def _side(self, side: Side, went: Mapping[tuple[str, Kind], int]) -> dict[str, Any]:
        rated = [(count, self._rate(name, kind)) for (name, kind), count in went.items()]
        known = sum(count for count, rate in rated if rate is not None)
        good = sum(count * rate for count, rate in rated if rate is not None)
        return {
            "gateways": dict(side.gateways.most_common()),
            "cost": {code: round(cost / 10_000, 2) for code, cost in sorted(side.cost.items())},
            "success": round(good / known, 4) if known else None,
            "success_known_of": round(known / max(sum(went.values()), 1), 4),
        }

    def _rate(self, name: str, close: Kind) -> float | None:
        """How often payments of a kind succeed at a gateway; None where none went there."""
        wider: Iterable[Kind] = (close, close[:2], ())
        found = [(self._tried[name, kind], self._good[name, kind]) for kind in wider]
        tried, good = next((each for each in found if each[0] >= RATED_MIN), found[-1])
        return good / tried if tried else None
