"""The rules in force at a node, with what it remembers of payments before."""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence

from bailiwick.base.clock import now_ms
from bailiwick.channels.contract import NotBuilt, Outcome, Result
from bailiwick.routing.match import Routing, Wanted
from bailiwick.routing.strategies.learner import Learner
from bailiwick.routing.strategies.plan import Order, Plan
from bailiwick.routing.strategies.shares import Shares
from bailiwick.topology.routes.parts import Facts, RoutingRule
from bailiwick.topology.routes.table import EMPTY, RoutingTable

ASKED_MAX = 100_000
"""Payments under way from which something will be learnt."""
_NO_RULE = RoutingRule(0, "", (), {}, (), frozenset(), False, "cost", {}, "", 0.0, "")


class Router:
    """Makes plans of payments, and learns from what became of them.

    ``table``: the rules in force. What is learnt is kept in memory: a node that starts anew learns
    anew, and explores more until it has.
    """

    def __init__(self, table: Callable[[], RoutingTable] = lambda: EMPTY) -> None:
        self._table = table
        self._shares = Shares()
        self._learner = Learner()
        self._asked: OrderedDict[tuple[str, str], Facts] = OrderedDict()

    def plan(self, wanted: Wanted) -> Plan | None:
        """The plan of a payment; None where its merchant's strategy decides."""
        table, facts = self._table(), wanted.facts
        if facts is None or table is EMPTY:
            return None
        rule = table.rule(facts)
        if rule is None and wanted.strategy == "cost" and table.fees:
            rule = _NO_RULE
        return None if rule is None else Plan(rule, table, facts, wanted.payment, self)

    def chosen(self, plan: Plan, routing: Routing, *, first: bool) -> None:
        """A gateway is to be asked: ``first``, before any other for this payment, which alone
        counts for a split. Its answer will be learnt from."""
        gateway = routing.gateway
        if gateway is None:
            return
        if first:
            self.count(plan, routing)
        if self._table().learns:
            self._asked[plan.payment, gateway] = plan.facts
            if len(self._asked) > ASKED_MAX:
                self._asked.popitem(last=False)

    def count(self, plan: Plan, routing: Routing) -> None:
        """The gateway chosen has had its turn, if it is one of a split."""
        if plan.rule.strategy == "split" and routing.gateway in plan.first_choices:
            self._shares.count(plan.rule.name, plan.rule.shares, plan.first_choices)

    def learn(self, gateway: str, facts: Facts, good: bool, now_ms: int) -> None:
        """How a payment ended that was decided on at ``facts.at_ms``."""
        self._learner.learn(gateway, facts, good, now_ms, facts.at_ms)

    def ended(self, payment: str, gateway: str, result: Result) -> None:
        """How a payment's attempt ended, or that it is not known now, which is no success. What
        waits for the payer, and what was refused before it was sent, says nothing."""
        if not self._asked or result.outcome is Outcome.PENDING:
            return
        facts = self._asked.pop((payment, gateway), None)
        if facts is not None and not isinstance(result, NotBuilt):
            self.learn(gateway, facts, result.outcome is Outcome.APPROVED, now_ms())

    def turns(self, split: str, shares: Mapping[str, int], able: Sequence[str]) -> list[str]:
        """See ``plan.Memory``."""
        return self._shares.order(split, shares, able)

    def successes(self, facts: Facts, payment: str, names: Sequence[str]) -> Order:
        """See ``plan.Memory``."""
        return self._learner.order(facts, payment, names)

    def rate(self, facts: Facts, name: str) -> float | None:
        """See ``plan.Memory``."""
        return self._learner.rate(facts, name)
