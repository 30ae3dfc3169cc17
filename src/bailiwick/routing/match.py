"""Match a gateway: filter by what it can and by its usage state, order by the strategy. Pure.

``explain`` calls the same function as a payment.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from enum import Enum
from hashlib import blake2b
from typing import Any

import msgspec

from bailiwick.channels.contract import Family, Takes
from bailiwick.routing.health.segments import ALL, segment_of
from bailiwick.routing.strategies.plan import Plan
from bailiwick.topology.routes.parts import Facts, RoutingRule

TOLD_MAX = 12
"""Of how many gateways a payment keeps what was decided about them."""


class GatewayFacts(msgspec.Struct, frozen=True):
    """What routing knows about one gateway at this moment.

    Attributes:
        usage: "open", or the reason why the gateway takes nothing now.
        vault: the store of payment methods whose tokens its account can use.
        shared_tokens: the tokens that every account of its channel knows; None: there are none.
        methods: the types of payment methods that it takes, and in which ways.
        setups: payment methods can be set up there without a payment.
        demoted: segments of its traffic that do badly now, and why: see ``routing.health.grey``.
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
    methods: Mapping[str, tuple[Takes, ...]]
    manual_capture: bool
    vault: str
    multiples: Mapping[str, int] = {}
    shared_tokens: re.Pattern[str] | None = None
    setups: bool = False
    demoted: Mapping[str, str] = {}


class Wanted(msgspec.Struct, frozen=True):
    """What a payment asks of a gateway.

    Attributes:
        methods: types of payment methods, the preferred one first.
        token: the payer's payment method, if it is known already.
        vault: the one that the token belongs to, as the request names it or as was recorded.
        shown_to: the vault of a gateway that has had the token, should none be recorded.
        setup: it is to set up a payment method, for which amount and currency do not matter.
        families: the ways in which the payer can meet the provider, the preferred one first; none:
            any, for a payer of whom nothing is known yet.
        known: what is known of the payer (names of ``Payer``'s fields).
        facts: what routing rules may ask; None: none is asked.
    """

    payment: str
    country: str
    amount: int
    currency: str
    methods: tuple[str, ...]
    manual_capture: bool
    livemode: bool
    strategy: str
    token: str | None = None
    vault: str | None = None
    shown_to: str | None = None
    setup: bool = False
    families: tuple[Family, ...] = (Family.TOKEN,)
    known: frozenset[str] = frozenset()
    facts: Facts | None = None


class Kind(Enum):
    """The kind of a verdict on a gateway; ``Considered.reason`` says it in words."""

    ABLE = "able"
    TRIED = "tried"
    RULE = "rule"
    MODE = "mode"
    METHOD = "method"
    PAYER = "payer"
    TOKEN = "token"
    VAULT = "vault"
    CURRENCY = "currency"
    AMOUNT = "amount"
    COUNTRY = "country"
    HOLD = "hold"
    SETUP = "setup"
    USAGE = "usage"


class Considered(msgspec.Struct, frozen=True):
    """One gateway that was looked at, and why it was taken or not."""

    gateway: str
    verdict: str
    reason: str
    kind: Kind


class Routing(msgspec.Struct, frozen=True):
    """The decision: the chosen gateway, if any, and every gateway with its verdict.

    ``owner``: the vault that the token belongs to from now on; None where every account knows it.
    ``method``: the type of payment method by which the chosen gateway takes the payment; ``takes``:
    in which way. ``lacking``: what has to be known of the payer for any gateway to take it, where
    nothing else is in the way. ``rule``: the routing rule that it met.
    """

    gateway: str | None
    strategy: str
    considered: tuple[Considered, ...]
    owner: str | None = None
    method: str | None = None
    takes: Takes | None = None
    lacking: tuple[str, ...] = ()
    rule: RoutingRule | None = None


def shown(routing: Routing) -> dict[str, Any]:
    """A decision as it is stored and shown to clients."""
    considered = [
        {"gateway": each.gateway, "verdict": each.verdict, "reason": each.reason}
        for each in routing.considered
    ]
    found = {
        "gateway": routing.gateway,
        "strategy": routing.strategy,
        "considered": considered,
    }
    return found if routing.rule is None else {**found, "rule": routing.rule.name}


def transient(routing: Routing) -> bool:
    """Whether a gateway that was passed over might take the payment another time."""
    return any(each.kind is Kind.USAGE for each in routing.considered)


def owned_elsewhere(routing: Routing) -> bool:
    """Whether no gateway was chosen, and one would have been looked at further with a payment
    method of its own."""
    kinds = {each.kind for each in routing.considered}
    return routing.gateway is None and bool(kinds & {Kind.VAULT, Kind.TOKEN})


def match(
    gateways: Sequence[GatewayFacts],
    wanted: Wanted,
    tried: Collection[str] = (),
    plan: Plan | None = None,
    told: int = TOLD_MAX,
) -> Routing:
    """Choose the gateway for a payment; gateways in ``tried`` have had their attempt.

    ``plan``: the routing rule that the payment meets; None: its strategy orders all gateways.
    ``told``: of how many that could take it the plan says why they stand where they do.

    A token that no account shares is *owned*: by the vault that is named, else by that of the
    gateway which is chosen first. No gateway with another vault is ever shown it.
    """
    shared = _shared(gateways, wanted)
    owner = wanted.vault or (None if shared else wanted.shown_to)
    passed: dict[str, GatewayFacts] = {}
    considered = []
    able = _known_able(wanted, owner, shared)
    if len(able) > 2 * len(gateways):
        able.clear()  # of gateways that were replaced
    for facts in gateways:
        if facts.name in tried:
            why_not: _WhyNot | None = (Kind.TRIED, "tried before")
        elif plan is not None and (beside := plan.why_not(facts)) is not None:
            why_not = Kind.RULE, beside
        elif able.get(id(facts)) is facts:
            why_not = None
        else:
            why_not = _why_not(facts, wanted, owner, shared)
            if why_not is None and not facts.multiples and facts.shared_tokens is shared:
                able[id(facts)] = facts
        if why_not is None:
            passed[facts.name] = facts
        else:
            considered.append(Considered(facts.name, "passed over", why_not[1], why_not[0]))
    left = list(passed.values())
    order = _ordered(left, wanted) if plan is None else plan.ordered(left, told)
    last = {each.name: why for each in left if each.demoted and (why := _demoted(each, wanted))}
    if last:
        order = _asked_last(order, last)
    first = [
        Considered(name, "in reserve" if place else "chosen", reason, Kind.ABLE)
        for place, (name, reason) in enumerate(order)
    ]
    considered = [*first, *considered]
    strategy, rule = (wanted.strategy, None) if plan is None else (plan.rule.strategy, plan.named)
    if not order:
        lacking = _lacking(gateways, wanted, considered)
        return Routing(None, strategy, tuple(considered), owner, lacking=lacking, rule=rule)
    chosen = passed[order[0][0]]
    if owner is None and not shared and wanted.token is not None:
        owner = chosen.vault
    taken = _taken(chosen, wanted)
    assert taken is not None, "else it had been passed over"
    method, takes = taken
    return Routing(chosen.name, strategy, tuple(considered), owner, method, takes, rule=rule)


def _ordered(able: list[GatewayFacts], wanted: Wanted) -> list[tuple[str, str]]:
    if len(able) > 1:
        able.sort(key=lambda facts: _rank(facts, wanted))
    return [(facts.name, _reason(facts, wanted)) for facts in able]


def _asked_last(order: list[tuple[str, str]], last: Mapping[str, str]) -> list[tuple[str, str]]:
    """The same order, but that those come last of which payments fail; ``last``: why, by name."""
    found = [each for each in order if each[0] not in last]
    for name, reason in order:
        if name in last:
            why = f"asked last: {last[name]}"
            found.append((name, f"{reason}; {why}" if reason else why))
    return found


def _known_able(
    wanted: Wanted, owner: str | None, shared: re.Pattern[str] | None
) -> dict[int, GatewayFacts]:
    """The gateways, by identity, that are known to be able to take payments like this one: what was
    found of facts that never change need not be found again. Amounts and tokens are not among
    what makes payments alike, so what depends on them is not kept."""
    like = (
        wanted.livemode, wanted.methods, wanted.families, wanted.currency, wanted.country,
        wanted.manual_capture, wanted.setup, wanted.known, owner, shared,
    )  # fmt: skip
    if like not in _able and len(_able) >= _LIKE_MAX:
        _able.clear()
    return _able.setdefault(like, {})


_LIKE_MAX = 256
_able: dict[tuple[object, ...], dict[int, GatewayFacts]] = {}
_WhyNot = tuple[Kind, str]


def _why_not(
    facts: GatewayFacts, wanted: Wanted, owner: str | None, shared: re.Pattern[str] | None
) -> _WhyNot | None:
    if facts.livemode != wanted.livemode:
        return Kind.MODE, "live mode only" if facts.livemode else "test mode only"
    taken = _taken(facts, wanted)
    if taken is None:
        return _not_taken(facts, wanted)
    if wanted.setup and not facts.setups:
        return Kind.SETUP, "cannot set up payment methods without a payment"
    if facts.currencies and wanted.currency not in facts.currencies and not wanted.setup:
        return Kind.CURRENCY, f"does not take {wanted.currency}"
    if wanted.amount % facts.multiples.get(wanted.currency, 1):
        unit = facts.multiples[wanted.currency]
        return Kind.AMOUNT, f"takes only multiples of {unit} in {wanted.currency}"
    if facts.countries and wanted.country not in facts.countries:
        return Kind.COUNTRY, f"does not serve {wanted.country}"
    if wanted.manual_capture and not facts.manual_capture:
        return Kind.HOLD, "cannot authorize without capture"
    needs = taken[1].needs
    if needs and (missing := [each for each in needs if each not in wanted.known]):
        return Kind.PAYER, f"has to know the payer's {' and '.join(missing)}"
    if owner is not None and facts.vault != owner:
        return Kind.VAULT, f"the payment method belongs to vault {owner}"
    if shared and facts.shared_tokens is not shared and not _knows(facts, wanted.token or ""):
        return Kind.TOKEN, "does not know this test token"
    if facts.usage != "open":
        return Kind.USAGE, f"usage state: {facts.usage}"
    return None


def _not_taken(facts: GatewayFacts, wanted: Wanted) -> _WhyNot:
    """Why a gateway takes a payment in no way."""
    asked = _asked(wanted)
    if _taken(facts, wanted, holds=False) is not None:
        return Kind.HOLD, f"cannot authorize {asked} without capture"
    # Setups are bound to no currency.
    if _taken(facts, wanted, holds=False, bound=False) is not None:
        return Kind.CURRENCY, f"does not take {asked} in {wanted.currency}"
    return Kind.METHOD, f"does not take {asked}"


def _taken(
    facts: GatewayFacts, wanted: Wanted, *, holds: bool = True, bound: bool = True
) -> tuple[str, Takes] | None:
    """By which type of payment method a gateway takes a payment, and in which way; without
    ``holds``, were it captured at once; without ``bound``, were it in any currency."""
    families, found = wanted.families, None
    holds, bound = holds and wanted.manual_capture, bound and not wanted.setup
    for method in wanted.methods:
        for takes in facts.methods.get(method, ()):
            if takes.currencies and bound and wanted.currency not in takes.currencies:
                continue
            if holds and not takes.holds:
                continue
            if not families or takes.family == families[0]:
                return method, takes
            place = families.index(takes.family) if takes.family in families else None
            if place is not None and (found is None or place < found[0]):
                found = place, method, takes
    return None if found is None else found[1:]


def _asked(wanted: Wanted) -> str:
    types = " or ".join(wanted.methods)
    if wanted.families in ((), (Family.TOKEN,)):
        return types
    return f"{types} by {' or '.join(each.replace('_', ' ') for each in wanted.families)}"


def _lacking(
    gateways: Sequence[GatewayFacts], wanted: Wanted, considered: Sequence[Considered]
) -> tuple[str, ...]:
    """What is to be known of the payer for the first gateway that lacks nothing else."""
    if Kind.USAGE in {each.kind for each in considered}:
        return ()
    lacking = next((each.gateway for each in considered if each.kind is Kind.PAYER), None)
    for facts in gateways:
        taken = _taken(facts, wanted) if facts.name == lacking else None
        if taken is not None:
            return tuple(each for each in taken[1].needs if each not in wanted.known)
    return ()


def _shared(gateways: Sequence[GatewayFacts], wanted: Wanted) -> re.Pattern[str] | None:
    """What says that a token is a published one, for tests. In live mode there are none."""
    token = wanted.token
    if token is None or wanted.livemode:
        return None
    for facts in gateways:
        if _knows(facts, token):
            return facts.shared_tokens
    return None


def _knows(facts: GatewayFacts, token: str) -> bool:
    return facts.shared_tokens is not None and facts.shared_tokens.fullmatch(token) is not None


def _cost(facts: GatewayFacts, wanted: Wanted) -> int:
    """Price of the payment here, in ten-thousandths of a minor unit."""
    return facts.cost_bps * wanted.amount + facts.cost_fixed * 10_000


def _demoted(facts: GatewayFacts, wanted: Wanted) -> str | None:
    """Why a gateway is to be asked last for a payment; None: it is not."""
    if not facts.demoted:
        return None
    taken = _taken(facts, wanted)
    segment = "" if taken is None else segment_of(taken[0], wanted.country)
    return facts.demoted.get(ALL) or facts.demoted.get(segment)


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
