"""Routing by rules: which gateways a rule lets have a payment, in which order each strategy puts
them, and what is told of it."""

from collections import Counter
from typing import Any

import msgspec
import payment_kit
import pytest

from bailiwick.base.clock import now_ms
from bailiwick.channels.contract import NotBuilt, Outcome, Result, Takes
from bailiwick.resources.payments import charging
from bailiwick.routing.available import available
from bailiwick.routing.match import GatewayFacts, Kind, Routing, Wanted, match, shown, transient
from bailiwick.routing.strategies.router import Router
from bailiwick.routing.strategies.shares import Shares
from bailiwick.topology.routes.parts import Facts
from bailiwick.topology.routes.reading import parse
from bailiwick.topology.routes.words import sentence

NOON_MS = 1_772_452_800_000
ASKED = ("customer", "merchant", "fingerprint", "at_ms")


def gateway(name: str, **values: Any) -> GatewayFacts:
    given: dict[str, Any] = {
        "name": name, "channel": "sandbox", "kind": "large_domestic_bank", "usage": "open",
        "livemode": False, "priority": 10, "cost_bps": 100, "cost_fixed": 0,
        "countries": frozenset(), "currencies": frozenset(), "methods": {"card": (Takes(),)},
        "manual_capture": True, "vault": name,
    }  # fmt: skip
    return GatewayFacts(**{**given, **values})


def payment(number: int = 0, **values: Any) -> Wanted:
    of: dict[str, Any] = {"merchant": "acct_shop", "at_ms": NOON_MS}
    of |= {name: values.pop(name) for name in ASKED if name in values}
    wanted = Wanted(**{
        "payment": f"pi_{number}", "country": "DE", "amount": 1000, "currency": "EUR",
        "methods": ("card",), "manual_capture": False, "livemode": False, "strategy": "priority",
        **values,
    })  # fmt: skip
    facts = Facts(
        **of, livemode=False, country=wanted.country, currency=wanted.currency,
        amount=wanted.amount, methods=wanted.methods,
    )  # fmt: skip
    return msgspec.structs.replace(wanted, facts=facts)


def router(text: str) -> Router:
    found = parse(text.encode(), merchants={"acct_shop"}, groups={})
    return Router(lambda: found)


def routed(
    by: Router, gateways: list[GatewayFacts], wanted: Wanted, tried: tuple[str, ...] = ()
) -> Routing:
    plan = by.plan(wanted)
    routing = match(gateways, wanted, tried, plan)
    if plan is not None:
        by.chosen(plan, routing, first=not tried)
    return routing


def reasons(routing: Routing) -> dict[str, str]:
    return {each.gateway: f"{each.verdict}: {each.reason}" for each in routing.considered}


def order(routing: Routing) -> list[str]:
    return [each.gateway for each in routing.considered if each.kind is Kind.ABLE]


def test_without_a_rule_that_is_met_nothing_is_told_and_the_strategy_decides() -> None:
    by = router('[[rules]]\nname = "dollars"\ncurrencies = ["USD"]\ngateways = ["b"]')
    found = routed(by, [gateway("a"), gateway("b", priority=20)], payment())
    assert shown(found) == shown(match([gateway("a"), gateway("b", priority=20)], payment()))
    assert "rule" not in shown(found) and found.gateway == "a"
    assert router("").plan(payment()) is None


def test_a_rule_names_its_gateways_in_order_and_keeps_others_out() -> None:
    by = router('[[rules]]\nname = "two"\ngateways = ["c", "b"]')
    gateways = [gateway("a", priority=1), gateway("b", priority=2), gateway("c", priority=3)]
    found = routed(by, gateways, payment())
    assert reasons(found) == {
        "c": "chosen: number 1 of the rule",
        "b": "in reserve: number 2 of the rule",
        "a": "passed over: is not among the gateways of rule 'two'",
    }
    document = shown(found)
    assert document["rule"] == "two" and document["strategy"] == "priority"
    assert found.rule is not None and sentence(found.rule) == "payments go to c, b, in this order"
    assert routed(by, gateways, payment(), ("c",)).gateway == "b"
    closed = [msgspec.structs.replace(each, usage="closed") for each in gateways]
    nowhere = routed(by, closed, payment())
    assert nowhere.gateway is None and transient(nowhere)
    assert not transient(routed(by, [gateway("a", usage="closed")], payment()))


def test_others_stand_in_reserve_and_kinds_are_candidates() -> None:
    by = router(
        '[[rules]]\nname = "r"\ngateways = ["c"]\nkinds = ["foreign_platform"]\nothers = true'
    )
    gateways = [
        gateway("a", priority=1),
        gateway("b", priority=2, kind="foreign_platform"),
        gateway("c", priority=3),
    ]
    assert order(routed(by, gateways, payment())) == ["c", "b", "a"]
    alone = router('[[rules]]\nname = "r"\nkinds = ["foreign_platform"]')
    assert order(routed(alone, gateways, payment())) == ["b"]


def test_a_rule_chooses_among_those_that_can() -> None:
    by = router('[[rules]]\nname = "r"\ngateways = ["c", "b"]')
    gateways = [gateway("b"), gateway("c", currencies=frozenset({"INR"}))]
    found = routed(by, gateways, payment())
    assert found.gateway == "b" and reasons(found)["c"] == "passed over: does not take EUR"


def test_the_least_cost_goes_by_fee_tables_and_else_by_settings() -> None:
    fees = """
    [[fees]]
    gateway = "tiers"
    currencies = ["EUR"]
    tiers = [{ from = 0, bps = 300 }, { from = 5000, bps = 50 }]
    [[fees]]
    gateway = "floor"
    currencies = ["EUR"]
    bps = 10
    minimum = 25
    """
    by = router('[[rules]]\nname = "cheap"\nstrategy = "cost"' + fees)
    gateways = [gateway("tiers"), gateway("floor"), gateway("plain", cost_bps=200)]
    assert order(routed(by, gateways, payment(amount=1000))) == ["plain", "floor", "tiers"]
    assert order(routed(by, gateways, payment(amount=6000))) == ["floor", "tiers", "plain"]
    told = reasons(routed(by, gateways, payment(amount=1000)))
    assert told["floor"] == "in reserve: costs 25 minor units"
    # The merchant's own strategy goes by the fees, too.
    merchant = payment(amount=1000, strategy="cost")
    found = routed(router(fees), gateways, merchant)
    assert order(found) == ["plain", "floor", "tiers"] and found.rule is None


SPLIT = '[[rules]]\nname = "s"\ngateways = ["a", "b", "c"]\nstrategy = "split"\n'


@pytest.mark.parametrize("shares", [(70, 25, 5), (1, 1, 1), (997, 2, 1)])
def test_a_split_is_exact_over_any_stretch(shares: tuple[int, int, int]) -> None:
    a, b, c = shares
    by = router(f"{SPLIT}shares = {{ a = {a}, b = {b}, c = {c} }}")
    gateways = [gateway("a"), gateway("b"), gateway("c")]
    whole, counts = sum(shares), Counter[str]()
    for number in range(10_000):
        counts[str(routed(by, gateways, payment(number)).gateway)] += 1
        for name, share in zip("abc", shares, strict=True):
            assert abs(counts[name] - (number + 1) * share / whole) < 2
    for name, share in zip("abc", shares, strict=True):
        assert abs(counts[name] / 10_000 - share / whole) < 0.005


def test_a_gateway_that_was_away_is_not_flooded_when_it_is_back() -> None:
    by = router(f"{SPLIT}shares = {{ a = 50, b = 30, c = 20 }}")
    here = [gateway("a"), gateway("b"), gateway("c")]
    away = [gateway("a"), gateway("b"), gateway("c", usage="closed")]
    counts = Counter(routed(by, away, payment(number)).gateway for number in range(800))
    assert counts == {"a": 500, "b": 300}
    back = Counter(routed(by, here, payment(number)).gateway for number in range(100))
    assert back == {"a": 50, "b": 30, "c": 20}


def test_a_split_counts_first_choices_alone() -> None:
    by = router(f"{SPLIT}shares = {{ a = 1, b = 1, c = 1 }}")
    gateways = [gateway("a"), gateway("b"), gateway("c")]
    first = match(gateways, payment(), (), by.plan(payment()))  # an explanation
    assert match(gateways, payment(), (), by.plan(payment())) == first
    assert routed(by, gateways, payment(), ("a",)).gateway == "b"
    assert [routed(by, gateways, payment()).gateway for _ in range(3)] == ["a", "b", "c"]


def test_splits_are_apart_from_each_other() -> None:
    shares = Shares()
    for _ in range(3):
        shares.count("one", {"a": 1, "b": 1}, ["a", "b"])
    assert shares.order("one", {"a": 1, "b": 1}, ["a", "b"]) == ["b", "a"]
    assert shares.order("two", {"a": 1, "b": 1}, ["a", "b"]) == ["a", "b"]


def test_sticky_payers_stay_and_come_back() -> None:
    by = router(
        '[[rules]]\nname = "s"\ngateways = ["a", "b"]\nstrategy = "sticky"\n'
        "shares = { a = 80, b = 20 }"
    )
    gateways = [gateway("a"), gateway("b")]
    where = {}
    for number in range(2000):
        of = payment(number, customer=f"cus_{number % 1000}")
        where.setdefault(of.facts and of.facts.customer, set()).add(
            routed(by, gateways, of).gateway
        )
    assert all(len(each) == 1 for each in where.values())
    at_a = sum(each == {"a"} for each in where.values())
    assert 760 < at_a < 840
    gone = [gateway("a", usage="closed"), gateway("b")]
    assert routed(by, gone, payment(customer="cus_1")).gateway == "b"
    told = reasons(routed(by, gateways, payment(1)))
    assert set(told.values()) == {
        "chosen: no customer is known: by the payment's id",
        "in reserve: no customer is known: by the payment's id",
    }


def test_sticky_by_the_card() -> None:
    by = router('[[rules]]\nname = "s"\nstrategy = "sticky"\nby = "fingerprint"')
    gateways = [gateway(name) for name in "abcd"]
    found = {routed(by, gateways, payment(n, fingerprint="f")).gateway for n in range(50)}
    assert len(found) == 1
    assert (
        len({routed(by, gateways, payment(n, fingerprint=f"f{n}")).gateway for n in range(50)}) == 4
    )


def ended(by: Router, wanted: Wanted, gateway: str, result: Result) -> None:
    by.ended(wanted.payment, gateway, result)


def test_those_that_fail_stand_last_and_serve_when_no_other_can() -> None:
    by = router('[[rules]]\nname = "r"\ngateways = ["a", "b"]\neliminate_below = 0.5')
    gateways = [gateway("a"), gateway("b")]
    for number in range(100):
        wanted = payment(number, at_ms=now_ms())
        if routed(by, gateways, wanted).gateway == "b":
            break
        ended(by, wanted, "a", Result(Outcome.DECLINED))
    told = reasons(routed(by, gateways, payment(200, at_ms=now_ms())))
    assert told["b"] == "chosen: number 2 of the rule"
    assert told["a"].startswith("in reserve: only ")
    assert told["a"].endswith("% succeeded lately; number 1 of the rule")
    assert routed(by, gateways, payment(201, at_ms=now_ms()), ("b",)).gateway == "a"


def test_the_most_successful_is_chosen_and_what_was_not_sent_says_nothing() -> None:
    by = router('[[rules]]\nname = "r"\nstrategy = "success"')
    gateways = [gateway("a"), gateway("b")]
    for number in range(200):
        for name, outcome in (("a", Outcome.DECLINED), ("b", Outcome.APPROVED)):
            wanted = payment(number, at_ms=now_ms())
            if routed(by, gateways, wanted, tuple({"a", "b"} - {name})).gateway == name:
                ended(by, wanted, name, NotBuilt(Outcome.DECLINED))
                ended(by, wanted, name, Result(outcome))  # of which nobody asked any more
    facts = payment(at_ms=now_ms()).facts
    assert facts is not None and by.rate(facts, "a") is None
    for number in range(200):
        for name, outcome in (("a", Outcome.UNKNOWN), ("b", Outcome.APPROVED)):
            wanted = payment(number, at_ms=now_ms())
            routed(by, gateways, wanted, tuple({"a", "b"} - {name}))
            ended(by, wanted, name, Result(Outcome.PENDING))
            ended(by, wanted, name, Result(outcome))
    went = Counter(
        routed(by, gateways, payment(number, at_ms=now_ms() + 1000)).gateway
        for number in range(200)
    )
    assert went["b"] > 190


def test_payment_methods_on_offer_follow_the_rules() -> None:
    by = router('[[rules]]\nname = "r"\nmethods = ["upi"]\ngateways = ["b"]')
    both = {"card": (Takes(),), "upi": (Takes(),)}
    gateways = [gateway("a", methods=both), gateway("b", methods=both, priority=20)]
    wanted = payment(country="IN", currency="INR", methods=())
    found = {each.type: each.gateway for each in available(gateways, wanted, None, by.plan)}
    assert found == {"card": "a", "upi": "b"}


def test_a_part_of_the_payments_is_drawn_by_lot_and_always_the_same() -> None:
    by = router('[[rules]]\nname = "tried"\npercent = 10\n[[rules]]\nname = "rest"')
    drawn = 0
    for _ in range(3000):
        stored = payment_kit.payment()
        names = {
            plan.rule.name
            for _ in range(2)
            if (plan := by.plan(charging.wanted(stored, "priority"))) is not None
        }
        assert len(names) == 1
        drawn += names == {"tried"}
    assert 220 < drawn < 390
