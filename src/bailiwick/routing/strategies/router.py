"""The rules in force at a node, with what it remembers of payments before."""

from collections.abc import Callable, Mapping, Sequence

from bailiwick.routing.match import Routing, Wanted
from bailiwick.routing.strategies.plan import Plan
from bailiwick.routing.strategies.shares import Shares
from bailiwick.topology.routes.parts import Facts, RoutingRule
from bailiwick.topology.routes.table import EMPTY, RoutingTable

_NO_RULE = RoutingRule(0, "", (), {}, (), frozenset(), False, "cost", {}, "", 0.0, "")


class Router:
    """Makes plans of payments; ``table``: the rules in force."""

    def __init__(self, table: Callable[[], RoutingTable] = lambda: EMPTY) -> None:
        self._table = table
        self._shares = Shares()

    def plan(self, wanted: Wanted) -> Plan | None:
        """The plan of a payment; None where its merchant's strategy decides."""
        table, facts = self._table(), wanted.facts
        if facts is None or table is EMPTY:
            return None
        rule = table.rule(facts)
        if rule is None and wanted.strategy == "cost" and table.fees:
            rule = _NO_RULE
        return None if rule is None else Plan(rule, table, facts, wanted.payment, self)

    def chosen(self, plan: Plan, routing: Routing) -> None:
        """Count the choice of a payment's first attempt."""
        if plan.rule.strategy == "split" and routing.gateway in plan.first_choices:
            self._shares.count(plan.rule.name, plan.rule.shares, plan.first_choices)

    def turns(self, split: str, shares: Mapping[str, int], able: Sequence[str]) -> list[str]:
        """See ``plan.Memory``."""
        return self._shares.order(split, shares, able)

    def drawn(self, facts: Facts, payment: str, names: Sequence[str]) -> Mapping[str, float]:
        """See ``plan.Memory``."""
        raise NotImplementedError

    def rate(self, facts: Facts, name: str) -> float | None:
        """See ``plan.Memory``."""
        return None
