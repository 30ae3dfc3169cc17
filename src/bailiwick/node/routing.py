"""Match a gateway: filter by what it can and by its usage state, order by the strategy. Pure.

``explain`` calls the same function as a payment.
"""

from collections.abc import Collection, Mapping, Sequence
from hashlib import blake2b

import msgspec

_USAGE = "usage state: "

NO_GATEWAY = "no_gateway"
"""Why a node does not take a payment that a gateway of its could take at another time."""


class GatewayFacts(msgspec.Struct, frozen=True):
    """What routing knows about one gateway at this moment.

    ``usage`` is "open" or the reason why the gateway takes nothing now.
    """

    name: str
    channel: str
    kind: str
    usage: str
    livemode: bool
    priority: int
    cost_bps: int
    cost_fixed: int
    countries: frozenset[str]
    currencies: frozenset[str]
    methods: frozenset[str]
    manual_capture: bool
    multiples: Mapping[str, int] = {}


class Wanted(msgspec.Struct, frozen=True):
    """What a payment asks of a gateway."""

    payment: str
    country: str
    amount: int
    currency: str
    method: str
    manual_capture: bool
    livemode: bool
    strategy: str


class Considered(msgspec.Struct, frozen=True, omit_defaults=True):
    """One gateway that was looked at, and why it was taken or not."""

    gateway: str
    verdict: str
    reason: str


class Routing(msgspec.Struct, frozen=True):
    """The decision: the chosen gateway, if any, and every gateway with its verdict."""

    gateway: str | None
    strategy: str
    considered: tuple[Considered, ...]


def transient(routing: Routing) -> bool:
    """Whether a gateway that was passed over might take the payment another time."""
    return any(each.reason.startswith(_USAGE) for each in routing.considered)


def match(gateways: Sequence[GatewayFacts], wanted: Wanted, tried: Collection[str] = ()) -> Routing:
    """Choose the gateway for a payment; gateways in ``tried`` have had their attempt."""
    passed = []
    considered = []
    for facts in gateways:
        why_not = "tried before" if facts.name in tried else _why_not(facts, wanted)
        if why_not is None:
            passed.append(facts)
        else:
            considered.append(Considered(facts.name, "passed over", why_not))
    passed.sort(key=lambda facts: _rank(facts, wanted))
    for place, facts in enumerate(passed):
        reason = _reason(facts, wanted)
        verdict = "chosen" if place == 0 else "in reserve"
        considered.insert(place, Considered(facts.name, verdict, reason))
    chosen = passed[0].name if passed else None
    return Routing(chosen, wanted.strategy, tuple(considered))


def _why_not(facts: GatewayFacts, wanted: Wanted) -> str | None:
    if facts.livemode != wanted.livemode:
        return "live mode only" if facts.livemode else "test mode only"
    if wanted.method not in facts.methods:
        return f"does not take {wanted.method}"
    if facts.currencies and wanted.currency not in facts.currencies:
        return f"does not take {wanted.currency}"
    if wanted.amount % facts.multiples.get(wanted.currency, 1):
        return f"takes only multiples of {facts.multiples[wanted.currency]} in {wanted.currency}"
    if facts.countries and wanted.country not in facts.countries:
        return f"does not serve {wanted.country}"
    if wanted.manual_capture and not facts.manual_capture:
        return "cannot authorize without capture"
    if facts.usage != "open":
        return f"{_USAGE}{facts.usage}"
    return None


def _cost(facts: GatewayFacts, wanted: Wanted) -> int:
    """Price of the payment here, in ten-thousandths of a minor unit."""
    return facts.cost_bps * wanted.amount + facts.cost_fixed * 10_000


def _rank(facts: GatewayFacts, wanted: Wanted) -> tuple[int, ...]:
    if wanted.strategy == "cost":
        return (_cost(facts, wanted), facts.priority)
    if wanted.strategy == "spread":
        # The payment's own id spreads the load: the same payment always goes the same way.
        seed = blake2b(f"{wanted.payment}|{facts.name}".encode(), digest_size=6).digest()
        return (int.from_bytes(seed, "big"), facts.priority)
    return (facts.priority, _cost(facts, wanted))


def _reason(facts: GatewayFacts, wanted: Wanted) -> str:
    if wanted.strategy == "cost":
        return f"costs {_cost(facts, wanted) / 10_000:g} minor units"
    if wanted.strategy == "spread":
        return "its share of the load"
    return f"priority {facts.priority}"
