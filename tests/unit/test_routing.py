"""Matching a gateway: filters with their reasons, orders, and the same answer every time."""

import random
import re
from typing import Any

import msgspec
import pytest

from bailiwick.channels.contract import Takes
from bailiwick.routing.match import GatewayFacts, Wanted, match, owned_elsewhere, shown, transient


def facts(name: str, **values: Any) -> GatewayFacts:
    given: dict[str, Any] = {
        "name": name, "channel": "sandbox", "kind": "large_domestic_bank", "usage": "open",
        "livemode": False, "priority": 10, "cost_bps": 100, "cost_fixed": 0,
        "countries": frozenset(), "currencies": frozenset(), "methods": frozenset({"card"}),
        "manual_capture": True, "vault": name,
    }  # fmt: skip
    given |= values
    if isinstance(given["methods"], frozenset):
        given["methods"] = dict.fromkeys(sorted(given["methods"]), (Takes(),))
    return GatewayFacts(**given)


def wanted(**values: Any) -> Wanted:
    given: dict[str, Any] = {
        "payment": "pi_1", "country": "DE", "amount": 1000, "currency": "EUR", "methods": ("card",),
        "manual_capture": False, "livemode": False, "strategy": "priority",
    }  # fmt: skip
    return Wanted(**{**given, **values})


@pytest.mark.parametrize(
    ("gateway", "payment", "reason"),
    [
        ({"livemode": True}, {}, "live mode only"),
        ({}, {"livemode": True}, "test mode only"),
        ({"methods": frozenset({"upi"})}, {}, "does not take card"),
        ({}, {"methods": ("upi", "pix")}, "does not take upi or pix"),
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


# Whose token it is

TEST_CARDS = re.compile("pm_card_[a-z]+")


def test_a_token_stays_with_the_vault_that_had_it_first() -> None:
    gateways = [facts("a", priority=1), facts("b", priority=2), facts("c", priority=3, vault="a")]
    first = match(gateways, wanted(token="pm_1"))
    assert (first.gateway, first.owner) == ("a", "a")
    found = match(gateways, wanted(token="pm_1", vault=first.owner), {"a"})
    assert (found.gateway, found.owner) == ("c", "a")
    assert {each.gateway: each.reason for each in found.considered} == {
        "c": "priority 3",
        "a": "tried before",
        "b": "the payment method belongs to vault a",
    }
    nobody = match(gateways, wanted(token="pm_1", vault="a"), {"a", "c"})
    assert nobody.gateway is None and not transient(nobody) and owned_elsewhere(nobody)
    # Nothing was recorded (an earlier version): who has had it tells.
    assert match(gateways, wanted(token="pm_1", shown_to="b"), {"b"}).gateway is None


def test_a_vault_that_is_named() -> None:
    gateways = [facts("a", priority=1), facts("b", priority=2), facts("c", usage="x", vault="b")]
    found = match(gateways, wanted(token="pm_1", vault="b"))
    assert (found.gateway, found.owner) == ("b", "b")
    assert transient(match(gateways, wanted(token="pm_1", vault="b"), {"b"}))
    unknown = match(gateways, wanted(token="pm_1", vault="z"))
    assert unknown.gateway is None and owned_elsewhere(unknown) and not transient(unknown)
    # Before there is a token, everything is open.
    assert match(gateways, wanted()).owner is None


def test_a_test_token_goes_wherever_it_is_known() -> None:
    gateways = [
        facts("a", priority=1),
        facts("b", priority=2, shared_tokens=TEST_CARDS),
        facts("c", priority=3, shared_tokens=TEST_CARDS),
    ]
    found = match(gateways, wanted(token="pm_card_visa", shown_to="b"), {"b"})
    assert (found.gateway, found.owner) == ("c", None)
    reasons = {each.gateway: each.reason for each in found.considered}
    assert reasons["a"] == "does not know this test token"
    # One that an account has made, and any token in live mode, belongs to a vault.
    assert match(gateways, wanted(token="pm_1Abc", shown_to="b"), {"b"}).gateway is None
    live = [facts("a", livemode=True), facts("b", priority=20, livemode=True), *gateways]
    found = match(live, wanted(token="pm_card_visa", livemode=True))
    assert (found.gateway, found.owner) == ("a", "a")


@pytest.mark.parametrize("strategy", ["priority", "cost", "spread"])
def test_however_it_cascades_one_vault_alone_sees_an_owned_token(strategy: str) -> None:
    chance = random.Random(7)
    for _ in range(300):
        gateways = [
            facts(name, vault=chance.choice("xyz"), priority=chance.randrange(4),
                  cost_bps=chance.randrange(200), shared_tokens=chance.choice([None, TEST_CARDS]))
            for name in "abcdefg"
        ]  # fmt: skip
        named = chance.choice([None, "x", "y"])
        owner, tried, seen = named, set[str](), set[str]()
        while True:
            found = match(gateways, wanted(token="pm_1", vault=owner, strategy=strategy), tried)
            if found.gateway is None:
                break
            owner = found.owner
            tried.add(found.gateway)
            seen |= {each.vault for each in gateways if each.name == found.gateway}
        assert len(seen) <= 1 and (named is None or seen <= {named})


def test_what_is_shown_of_a_decision() -> None:
    found = shown(match([facts("a"), facts("b", usage="shut")], wanted(token="pm_1")))
    assert found == {
        "gateway": "a",
        "strategy": "priority",
        "considered": [
            {"gateway": "a", "verdict": "chosen", "reason": "priority 10"},
            {"gateway": "b", "verdict": "passed over", "reason": "usage state: shut"},
        ],
    }


def test_every_type_of_payment_method_is_tried_in_order() -> None:
    gateways = [
        facts("a", methods=frozenset({"card"}), priority=2),
        facts("b", methods=frozenset({"card", "pix"}), priority=1),
    ]
    for methods, gateway, method in (
        (("upi", "card"), "b", "card"),
        (("pix", "card"), "b", "pix"),
        (("card", "pix"), "b", "card"),
        (("upi",), None, None),
    ):
        found = match(gateways, wanted(methods=methods))
        assert (found.gateway, found.method) == (gateway, method)
    assert match(gateways, wanted(methods=("pix", "card")), {"b"}).method == "card"


def test_what_does_badly_is_asked_last() -> None:
    """For a segment, or for all; and still, where nobody else takes the payment."""
    one, other = facts("one", priority=1), facts("other", priority=2)
    assert match([one, other], wanted()).gateway == "one"
    for demoted in ({"card DE": "half failed"}, {"": "half failed"}):
        badly = msgspec.structs.replace(one, demoted=demoted)
        found = match([badly, other], wanted())
        assert found.gateway == "other"
        assert found.considered[1].reason == "priority 1; asked last: half failed"
        assert match([badly], wanted()).gateway == "one"
        assert match([badly, other], wanted(), ["other"]).gateway == "one"
    for elsewhere in ({"card FR": "x"}, {"pix DE": "x"}):
        well = msgspec.structs.replace(one, demoted=elsewhere)
        found = match([well, other], wanted())
        assert found.gateway == "one" and found.considered[0].reason == "priority 1"
    both = [msgspec.structs.replace(each, demoted={"": "x"}) for each in (other, one)]
    assert match(both, wanted()).gateway == "one", "among themselves as ever"


def test_asked_last_is_no_reason_to_show_a_token_to_another_vault() -> None:
    badly = facts("one", priority=1, demoted={"": "half failed"})
    found = match([badly, facts("other", priority=2)], wanted(token="tok", vault="one"))
    assert found.gateway == "one"
