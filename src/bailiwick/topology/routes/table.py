"""The routing table of one epoch: rules, fees and retries, compiled. Pure."""

from collections.abc import Mapping

from bailiwick.topology.routes.index import Index
from bailiwick.topology.routes.parts import Facts, Fee, RoutingRule
from bailiwick.topology.routes.retries import Action, Retry


class RoutingTable:
    """Rules in the order in which they are met: a merchant's own before those of everybody.

    ``learns``: some of them go by how payments before have ended.
    """

    def __init__(
        self,
        rules: tuple[RoutingRule, ...] = (),
        fees: tuple[Fee, ...] = (),
        retries: tuple[Retry, ...] = (),
    ) -> None:
        own = [rule for rule in rules if rule.merchants]
        self.rules = (*own, *(rule for rule in rules if not rule.merchants))
        self.fees = fees
        self.retries = retries
        self._after: dict[tuple[str, str], Action] = {}
        for retry in reversed(retries):
            for merchant in retry.merchants or ("",):
                self._after |= {(merchant, code): retry.action for code in retry.codes}
        self.learns = any(rule.strategy == "success" or rule.eliminate_below for rule in rules)
        self._index = Index([rule.box for rule in self.rules])
        self._everybody = ((1 << len(rules)) - 1) ^ ((1 << len(own)) - 1)
        self._of: dict[str, int] = {}
        for bit, rule in enumerate(own):
            for merchant in rule.merchants:
                self._of[merchant] = self._of.get(merchant, self._everybody) | 1 << bit
        by_gateway: dict[str, list[Fee]] = {}
        for fee in fees:
            by_gateway.setdefault(fee.gateway, []).append(fee)
        self._fees: Mapping[str, tuple[list[Fee], Index]] = {
            name: (held, Index([fee.box for fee in held])) for name, held in by_gateway.items()
        }

    def rule(self, facts: Facts) -> RoutingRule | None:
        """The rule that a payment meets; None: its merchant's strategy decides, over all."""
        place = self._index.first(facts, self._of.get(facts.merchant, self._everybody))
        return None if place is None else self.rules[place]

    def fee(self, gateway: str, facts: Facts) -> Fee | None:
        """What a gateway takes for a payment; None: what its settings say."""
        found = self._fees.get(gateway)
        place = None if found is None else found[1].first(facts)
        return None if found is None or place is None else found[0][place]

    def after(self, merchant: str, *codes: str | None) -> Action | None:
        """What follows on a decline with these codes, the closest first; a merchant's own table
        counts before everybody's. None: what its channel says."""
        asked = [(whose, code) for whose in (merchant, "") for code in codes if code is not None]
        return next((self._after[each] for each in asked if each in self._after), None)

    def of(self, merchant: str) -> tuple[RoutingRule, ...]:
        """The rules that a merchant's payments can meet, in order; "": those of everybody."""
        mask = self._of.get(merchant, self._everybody)
        return tuple(rule for bit, rule in enumerate(self.rules) if mask >> bit & 1)

    @property
    def merchants(self) -> tuple[str, ...]:
        """Merchants with rules of their own."""
        return tuple(sorted(self._of))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RoutingTable) and self._content == other._content

    @property
    def _content(self) -> tuple[object, ...]:
        return self.rules, self.fees, self.retries

    def __hash__(self) -> int:
        return hash((len(self.rules), len(self.fees)))


EMPTY = RoutingTable()
