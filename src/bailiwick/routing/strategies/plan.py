"""One payment under one rule: which gateways may have it, and which of them first. Pure.

``match`` asks a plan beside what gateways can; without one, each merchant's strategy decides.
"""

import math
from collections.abc import Mapping, Sequence
from hashlib import blake2b
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


class Memory(Protocol):
    """What a node remembers of payments before: turns of splits, successes of gateways."""

    def turns(self, split: str, shares: Mapping[str, int], able: Sequence[str]) -> list[str]:
        """The gateways of a split, whose turn it is first."""

    def drawn(self, facts: Facts, payment: str, names: Sequence[str]) -> Mapping[str, float]:
        """For each gateway a chance of success, drawn from what is believed of it."""

    def rate(self, facts: Facts, name: str) -> float | None:
        """The share of successes lately; None while too little is known."""


class Plan:
    """A rule, for one payment."""

    def __init__(
        self, rule: RoutingRule, table: RoutingTable, facts: Facts, payment: str, memory: Memory
    ) -> None:
        self.rule = rule
        self._table = table
        self._facts = facts
        self._payment = payment
        self._memory = memory
        self._free = rule.others or not (rule.gateways or rule.kinds)
        self._places = {name: place for place, name in enumerate(rule.gateways)}
        self._not_here = f"is not among the gateways of rule '{rule.name}'"
        self.first_choices: list[str] = []
        """Those that the strategy orders, of the last ``ordered``."""

    def why_not(self, gateway: Candidate) -> str | None:
        """Why the rule lets a gateway not have the payment; None: it may."""
        if self._free or gateway.name in self._places or gateway.kind in self.rule.kinds:
            return None
        return self._not_here

    def ordered(self, able: Sequence[Candidate]) -> list[tuple[str, str]]:
        """The gateways that can take the payment, by name, the first choice first, each with the
        reason of its place."""
        rule = self.rule
        named = [each for each in able if self._named(each)]
        low = {each.name: low for each in named if (low := self._low(each.name)) is not None}
        good = [each for each in named if each.name not in low]
        self.first_choices = [each.name for each in good or named]
        found = self._by_strategy(good)
        last = [(name, f"{reason}; {low[name]}") for name, reason in self._by_strategy(
            [each for each in named if each.name in low]
        )]  # fmt: skip
        others = [each for each in able if not self._named(each)]
        others.sort(key=lambda each: each.priority)
        why = f"after those of rule '{rule.name}'"
        return [*found, *last, *((each.name, why) for each in others)]

    def _named(self, gateway: Candidate) -> bool:
        rule = self.rule
        if not (rule.gateways or rule.kinds):
            return True
        return gateway.name in self._places or gateway.kind in rule.kinds

    def _low(self, name: str) -> str | None:
        """Why a gateway comes last for its failures."""
        bound = self.rule.eliminate_below
        rate = self._memory.rate(self._facts, name) if bound else None
        if rate is None or rate >= bound:
            return None
        return f"only {rate:.0%} succeeded lately"

    def _by_strategy(self, able: Sequence[Candidate]) -> list[tuple[str, str]]:
        if not able:
            return []
        return _ORDERS[self.rule.strategy](self, able)

    def _by_priority(self, able: Sequence[Candidate]) -> list[tuple[str, str]]:
        last = len(self._places)
        ranked = sorted(
            able,
            key=lambda each: (
                self._places.get(each.name, last), each.priority, self.price(each)
            ),
        )  # fmt: skip
        return [
            (each.name, f"number {self._places[each.name] + 1} of the rule")
            if each.name in self._places
            else (each.name, f"priority {each.priority}")
            for each in ranked
        ]

    def _by_cost(self, able: Sequence[Candidate]) -> list[tuple[str, str]]:
        prices = {each.name: self.price(each) for each in able}
        ranked = sorted(able, key=lambda each: (prices[each.name], each.priority))
        return [(each.name, f"costs {prices[each.name] / 10_000:g} minor units") for each in ranked]

    def _spread(self, able: Sequence[Candidate]) -> list[tuple[str, str]]:
        ranked = sorted(able, key=lambda each: _chance(self._payment, each.name))
        return [(each.name, "its share of the load") for each in ranked]

    def _by_shares(self, able: Sequence[Candidate]) -> list[tuple[str, str]]:
        shares = self.rule.shares
        names = self._memory.turns(self.rule.name, shares, [each.name for each in able])
        whole = sum(shares[name] for name in names)
        first, *rest = [(name, f"{shares[name] / whole:.4g} of the load") for name in names]
        return [(first[0], f"its turn: {first[1]}"), *rest]

    def _sticky(self, able: Sequence[Candidate]) -> list[tuple[str, str]]:
        """Rendezvous hashing with weights (Schindelhauer and Schomaker, SPAA 2005): the same payer
        always goes the same way, and who goes elsewhere when a gateway is away comes back."""
        by = self.rule.by
        of = self._facts.customer if by == "customer" else self._facts.fingerprint
        seed = of or self._payment
        shares = self.rule.shares
        weighed = {
            each.name: -math.log(_chance(seed, each.name)) / shares.get(each.name, 1)
            for each in able
        }
        why = f"where this {by} always goes" if of else f"no {by} is known: by the payment's id"
        return [(name, why) for name in sorted(weighed, key=lambda name: weighed[name])]

    def _by_success(self, able: Sequence[Candidate]) -> list[tuple[str, str]]:
        names = [each.name for each in able]
        drawn = self._memory.drawn(self._facts, self._payment, names)
        return [
            (name, f"{drawn[name]:.1%} is likely to succeed by what was seen lately")
            for name in sorted(names, key=lambda name: (-drawn[name], name))
        ]

    def price(self, gateway: Candidate) -> int:
        """Of the payment at a gateway, in ten-thousandths of a minor unit."""
        amount = self._facts.amount
        fee = self._table.fee(gateway.name, self._facts)
        if fee is None:
            return gateway.cost_bps * amount + gateway.cost_fixed * 10_000
        return fee.price(amount)


_ORDERS = {
    "priority": Plan._by_priority,
    "cost": Plan._by_cost,
    "spread": Plan._spread,
    "split": Plan._by_shares,
    "sticky": Plan._sticky,
    "success": Plan._by_success,
}


def _chance(seed: str, name: str) -> float:
    """Above 0 and at most 1, and always the same."""
    digest = blake2b(f"{seed}|{name}".encode(), digest_size=6).digest()
    return (int.from_bytes(digest, "big") + 1) / 2**48
