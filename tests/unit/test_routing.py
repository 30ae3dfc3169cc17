"""Matching a gateway: filters with their reasons, orders, and the same answer every time."""

import random
from typing import Any

import msgspec
import pytest

from bailiwick.node.routing import GatewayFacts, Wanted, match


def facts(name: str, **values: Any) -> GatewayFacts:
    given: dict[str, Any] = {
        "name": name, "channel": "sandbox", "kind": "large_domestic_bank", "usage": "open",
        "livemode": False, "priority": 10, "cost_bps": 100, "cost_fixed": 0,
        "countries": frozenset(), "currencies": frozenset(), "methods": frozenset({"card"}),
        "manual_capture": True,
    }  # fmt: skip
    return GatewayFacts(**{**given, **values})


def wanted(**values: Any) -> Wanted:
    given: dict[str, Any] = {
        "payment": "pi_1", "country": "DE", "amount": 1000, "currency": "EUR", "method": "card",
        "manual_capture": False, "livemode": False, "strategy": "priority",
    }  # fmt: skip
    return Wanted(**{**given, **values})


@pytest.mark.parametrize(
    ("gateway", "payment", "reason"),
    [
        ({"livemode": True}, {}, "live mode only"),
        ({}, {"livemode": True}, "test mode only"),
        ({"methods": frozenset({"upi"})}, {}, "does not take card"),
        ({"currencies": frozenset({"INR"})}, {}, "does not take EUR"),
        ({"multiples": {"EUR": 10}}, {"amount": 1005}, "takes only multiples of 10 in EUR"),
        ({"countries": frozenset({"IN"})}, {}, "does not serve DE"),
        ({"manual_capture": False}, {"manual_capture": True}, "cannot authorize without capture"),
        ({"usage": "credentials refused"}, {}, "usage state: credentials refused"),
    ],
)
def test_why_not(gateway: dict[str, Any], payment: dict[str, Any], reason: str) -> None:
    found = match([facts("a", **gateway)], wanted(**payment))
    assert found.gateway is None
    assert [(each.verdict, each.reason) for each in found.considered] == [("passed over", reason)]


def test_no_gateway_at_all() -> None:
    assert match([], wanted()).gateway is None


def test_a_gateway_that_had_its_attempt_is_not_asked_again() -> None:
    both = [facts("a", priority=1), facts("b", priority=2)]
    assert match(both, wanted()).gateway == "a"
    found = match(both, wanted(), {"a"})
    assert found.gateway == "b"
    assert ("a", "tried before") in [(each.gateway, each.reason) for each in found.considered]
    assert match(both, wanted(), {"a", "b"}).gateway is None


def test_orders() -> None:
    first = facts("first", priority=1, cost_bps=300)
    cheap = facts("cheap", priority=2, cost_bps=100, cost_fixed=10)
    flat = facts("flat", priority=3, cost_bps=0, cost_fixed=25)
    gateways = [flat, cheap, first]
    assert match(gateways, wanted()).gateway == "first"
    assert match(gateways, wanted(strategy="cost")).gateway == "cheap"
    assert match(gateways, wanted(strategy="cost", amount=100_000)).gateway == "flat"
    verdicts = [each.verdict for each in match(gateways, wanted()).considered]
    assert verdicts == ["chosen", "in reserve", "in reserve"]


@pytest.mark.parametrize("strategy", ["priority", "cost", "spread"])
def test_the_same_facts_give_the_same_answer_in_any_order(strategy: str) -> None:
    gateways = [facts(name, priority=ord(name) % 5, cost_bps=ord(name)) for name in "abcdefg"]
    expected = match(gateways, wanted(strategy=strategy))
    shuffled = list(gateways)
    for seed in range(20):
        random.Random(seed).shuffle(shuffled)
        assert match(shuffled, wanted(strategy=strategy)) == expected


def test_spread_is_even_and_a_payment_s_own() -> None:
    gateways = [facts(name) for name in "abcd"]
    chosen = [match(gateways, wanted(payment=f"pi_{n}", strategy="spread")).gateway
              for n in range(2_000)]  # fmt: skip
    for name in "abcd":
        assert 400 < chosen.count(name) < 600
    # A gateway that closes moves only its own payments.
    shut = [msgspec.structs.replace(gateways[0], usage="shut"), *gateways[1:]]
    for n, before in enumerate(chosen):
        after = match(shut, wanted(payment=f"pi_{n}", strategy="spread")).gateway
        assert after == before or before == "a"
