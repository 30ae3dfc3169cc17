"""One payment under one rule: which gateways may have it, and which of them first. Pure.

``match`` asks a plan beside what gateways can; without one, each merchant's strategy decides.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from itertools import zip_longest
from operator import attrgetter
from typing import Protocol

from bailiwick.topology.routes.parts import Facts, RoutingRule
from bailiwick.topology.routes.table import RoutingTable


class Candidate(Protocol):
    """What a plan looks at of a gateway; see ``match.GatewayFacts``."""

    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def priority(self) -> int: ...
    @property
    def cost_bps(self) -> int: ...
    @property
    def cost_fixed(self) -> int: ...


Order = tuple[list[str], Callable[[str, int], str]]
"""Names, the first choice first; and of a name and its place, the reason."""


class Memory(Protocol):
    """What a node remembers of payments before: turns of splits, successes of gateways."""

    def turns(self, split: str, shares: Mapping[str, int], able: Sequence[str]) -> list[str]:
        """The gateways of a split, whose turn it is first."""

    def successes(self, facts: Facts, payment: str, names: Sequence[str]) -> Order:
        """The gateways, whose payments succeed most first."""

    def rate(self, facts: Facts, name: str) -> float | None:
        """The share of successes lately; None while too little is known."""


class Plan:
    """A rule, for one payment."""

    def __init__(
        self, rule: RoutingRule, table: RoutingTable, facts: Facts, payment: str, memory: Memory
    ) -> None:
        self.rule = rule
        self._table = table
        self.facts = facts
        self.payment = payment
        self._memory = memory
        self._free = rule.others or not (rule.gateways or rule.kinds)
        self._places = {name: place for place, name in enumerate(rule.gateways)}
        self._not_here = f"is not among the gateways of rule '{rule.name}'"
        self.first_choices: list[str] = []
        """Of a split: those that have a turn, of the last ``ordered``."""

    @property
    def named(self) -> RoutingRule | None:
        """The rule, if it is one of the table's."""
        return self.rule if self.rule.name else None

    def why_not(self, gateway: Candidate) -> str | None:
        """Why the rule lets a gateway not have the payment; None: it may."""
        if self._free or gateway.name in self._places or gateway.kind in self.rule.kinds:
            return None
        return self._not_here

    def ordered(self, able: Sequence[Candidate], told: int) -> list[tuple[str, str]]:
        """The gateways that can take the payment, by name, the first choice first, each of the
        first ``told`` with the reason of its place."""
        rule = self.rule
        named, others = list(able), []
        if rule.gateways or rule.kinds:
            named = [each for each in able if self._named(each)]
            others = [each for each in able if not self._named(each)] if rule.others else []
        low = self._low(named) if rule.eliminate_below else {}
        good = [each for each in named if each.name not in low] if low else named
        if rule.strategy == "split":
            self.first_choices = [each.name for each in good or named]
        found = self._by_strategy(good, told)
        if low:
            failing = self._by_strategy([each for each in named if each.name in low], told)
            found += [(name, f"{low[name]}; {why}") for name, why in failing]
        others.sort(key=lambda each: each.priority)
        return found + [(each.name, f"after those of rule '{rule.name}'") for each in others]

    def _named(self, gateway: Candidate) -> bool:
        return gateway.name in self._places or gateway.kind in self.rule.kinds

    def _low(self, able: Sequence[Candidate]) -> dict[str, str]:
        """Gateways that come last for their failures, and why."""
        found = {}
        for each in able:
            rate = self._memory.rate(self.facts, each.name)
            if rate is not None and rate < self.rule.eliminate_below:
                found[each.name] = f"only {rate:.0%} succeeded lately"
        return found

    def _by_strategy(self, able: list[Candidate], told: int) -> list[tuple[str, str]]:
        if not able:
            return []
        names, reason = _ORDERS[self.rule.strategy](self, able)
        words = [reason(name, place) for place, name in enumerate(names[:told])]
        return list(zip_longest(names, words, fillvalue=""))

    def _by_priority(self, able: list[Candidate]) -> Order:
        able.sort(key=_PRIORITY)
        first = [each for each in able if each.priority == able[0].priority]
        if len(first) > 1:
            # The cheapest of the first; those after them are asked for when these have been tried.
            able[: len(first)] = sorted(first, key=self.price)
        if self._places:
            last = len(self._places)
            able.sort(key=lambda each: self._places.get(each.name, last))

        def reason(name: str, place: int) -> str:
            if name in self._places:
                return f"number {self._places[name] + 1} of the rule"
            return f"priority {able[place].priority}"

        return [each.name for each in able], reason

    def _by_cost(self, able: list[Candidate]) -> Order:
        prices = {each.name: self.price(each) for each in able}
        able.sort(key=lambda each: (prices[each.name], each.priority))

        def reason(name: str, place: int) -> str:
            return f"costs {prices[name] / 10_000:g} minor units"

        return [each.name for each in able], reason

    def _spread(self, able: list[Candidate]) -> Order:
        able.sort(key=lambda each: _chance(self.payment, each.name))
        return [each.name for each in able], lambda name, place: "its share of the load"

    def _by_shares(self, able: list[Candidate]) -> Order:
        shares = self.rule.shares
        names = self._memory.turns(self.rule.name, shares, [each.name for each in able])
        whole = sum(shares[name] for name in names)

        def reason(name: str, place: int) -> str:
            share = f"{shares[name] / whole * 100:.4g} % of the load"
            return share if place else f"its turn: {share}"

        return names, reason

    def _sticky(self, able: list[Candidate]) -> Order:
        """Rendezvous hashing with weights (Schindelhauer and Schomaker, SPAA 2005): the same payer
        always goes the same way, and who goes elsewhere when a gateway is away comes back."""
        by = self.rule.by
        of = self.facts.customer if by == "customer" else self.facts.fingerprint
        shares = self.rule.shares
        weighed = {
            each.name: -math.log(_chance(of or self.payment, each.name)) / shares.get(each.name, 1)
            for each in able
        }
        why = f"where this {by} always goes" if of else f"no {by} is known: by the payment's id"
        return sorted(weighed, key=lambda name: weighed[name]), lambda name, place: why

    def _by_success(self, able: list[Candidate]) -> Order:
        return self._memory.successes(self.facts, self.payment, [each.name for each in able])

    def price(self, gateway: Candidate) -> int:
        """Of the payment at a gateway, in ten-thousandths of a minor unit."""
        return price(self._table, gateway, self.facts)


def price(table: RoutingTable, gateway: Candidate, facts: Facts) -> int:
    """Of a payment at a gateway, by the table's fees or else its settings, in ten-thousandths of a
    minor unit."""
    fee = table.fee(gateway.name, facts) if table.fees else None
    if fee is None:
        return gateway.cost_bps * facts.amount + gateway.cost_fixed * 10_000
    return fee.price(facts.amount)


_ORDERS = {
    "priority": Plan._by_priority,
    "cost": Plan._by_cost,
    "spread": Plan._spread,
    "split": Plan._by_shares,
    "sticky": Plan._sticky,
    "success": Plan._by_success,
}


_PRIORITY = attrgetter("priority")


def _chance(seed: str, name: str) -> float:
    """Above 0 and at most 1, and always the same."""
    digest = blake2b(f"{seed}|{name}".encode(), digest_size=6).digest()
    return (int.from_bytes(digest, "big") + 1) / 2**48
