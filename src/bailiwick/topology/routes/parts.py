"""The parts of a routing table, as they are once it is read. Pure."""

from collections.abc import Mapping
from typing import Literal

import msgspec

from bailiwick.topology.routes.columns import Box

Strategy = Literal["priority", "cost", "spread", "split", "sticky", "success"]
By = Literal["", "customer", "fingerprint"]


class Facts(msgspec.Struct, frozen=True):
    """What rules may ask of a payment; None, or nothing, where it is not known.

    Attributes:
        subdivision: ISO 3166-2, where the payer's place has one.
        amount: minor units.
        methods: the types of payment methods that it takes, the preferred one first.
        issuer_country, bin, fingerprint: of the card, where the client or a provider has told it.
        at_ms: Unix time in milliseconds.
        lot: from 0 to below ``LOTS``, drawn of the payment's id: the same whenever it is asked.
    """

    merchant: str
    livemode: bool
    country: str
    currency: str
    amount: int
    methods: tuple[str, ...]
    at_ms: int
    subdivision: str | None = None
    issuer_country: str | None = None
    bin: str | None = None
    fingerprint: str | None = None
    customer: str | None = None
    metadata: Mapping[str, str] = {}
    lot: int = 0


LOTS = 10_000


class RoutingRule(msgspec.Struct, frozen=True):
    """One rule: which payments, to which gateways, in which order.

    Attributes:
        number: its place in the file, from 0.
        merchants: whose payments; none: everybody's, after their own rules.
        box: what it allows; a column that is not there allows everything.
        gateways: those it names, in its order; kinds: and those of these sorts of providers; with
            neither, all.
        others: all other gateways stand in reserve after them.
        shares: of a split, or of a sticky choice.
        by: what a sticky choice holds on to.
        eliminate_below: gateways with a lower share of successes lately come last; 0: none do.
        words: the conditions, for people.
    """

    number: int
    name: str
    merchants: tuple[str, ...]
    box: Box
    gateways: tuple[str, ...]
    kinds: frozenset[str]
    others: bool
    strategy: Strategy
    shares: Mapping[str, int]
    by: By
    eliminate_below: float
    words: str


class Tier(msgspec.Struct, frozen=True):
    """The price of payments from an amount on: basis points of it, and minor units on top."""

    start: int
    bps: int
    fixed: int


class Fee(msgspec.Struct, frozen=True):
    """What one gateway takes for some payments.

    Attributes:
        box: which payments, in the columns of rules.
        tiers: by the payment's amount, in order; the first starts at 0.
        least, most: minor units; None: no bound.
    """

    gateway: str
    box: Box
    tiers: tuple[Tier, ...]
    least: int | None = None
    most: int | None = None
    words: str = ""

    def price(self, amount: int) -> int:
        """Of an amount in minor units, in ten-thousandths of a minor unit."""
        tier = next(each for each in reversed(self.tiers) if each.start <= amount)
        price = tier.bps * amount + tier.fixed * 10_000
        if self.most is not None:
            price = min(price, self.most * 10_000)
        return price if self.least is None else max(price, self.least * 10_000)
