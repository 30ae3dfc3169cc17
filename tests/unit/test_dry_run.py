"""The dry run's arithmetic: who would have got what, at which price, and what may come of it."""

import random
from typing import Any

import msgspec
import pytest

from bailiwick.channels.contract import Takes
from bailiwick.cli.dry_run import _in_fact, _lines
from bailiwick.routing.match import GatewayFacts, Wanted
from bailiwick.routing.strategies.comparison import compared, p_value
from bailiwick.routing.strategies.dry_run import NOWHERE, DryRun
from bailiwick.topology.routes.parts import Facts
from bailiwick.topology.routes.reading import parse

START_MS = 1_800_000_000_000


def gateway(name: str, **values: Any) -> GatewayFacts:
    return msgspec.structs.replace(
        GatewayFacts(
            name, "sandbox", "foreign_bank", "open", False, 10, 100, 0, frozenset(), frozenset(),
            {"card": (Takes(),)}, True, name,
        ),
        **values,
    )  # fmt: skip


def payment(number: int, currency: str = "EUR") -> Wanted:
    facts = Facts("acct_shop", False, "DE", currency, 1000, ("card",), START_MS + number)
    return Wanted(
        f"pi_{number}", "DE", 1000, currency, ("card",), False, False, "priority", facts=facts
    )


def run(text: str, gateways: list[GatewayFacts], count: int = 1000) -> dict[str, Any]:
    dry = DryRun(gateways, parse(text.encode(), merchants=(), groups={}))
    for number in range(count):
        first = "a" if number % 10 else "b"
        good = number % 4 > 0 if first == "a" else number % 20 > 0
        dry.add(payment(number), [(first, good)])
    return dry.report()


def test_a_split_and_its_prices() -> None:
    text = '[[rules]]\nname = "half"\ngateways = ["a", "b"]\nstrategy = "split"\n'
    text += 'shares = { a = 1, b = 1 }\n[[fees]]\ngateway = "b"\ncurrencies = ["EUR"]\nfixed = 5'
    found = run(text, [gateway("a"), gateway("b")])
    assert found["payments"] == 1000 and found["rules"] == {"half": 1000, "(none)": 0}
    assert found["before"]["gateways"] == {"a": 900, "b": 100}
    assert found["after"]["gateways"] == {"a": 500, "b": 500}
    assert found["before"]["cost"] == {"EUR": 900 * 10 + 100 * 5}
    assert found["after"]["cost"] == {"EUR": 500 * 10 + 500 * 5}
    good_at_a = sum(number % 4 > 0 for number in range(1000) if number % 10) / 900
    assert found["after"]["success"] == round(0.5 * good_at_a + 0.5 * 0.5, 4)
    assert sum(each["payments"] for each in found["moves"]) == found["moved"]


def test_what_nobody_knows_is_not_guessed() -> None:
    found = run('[[rules]]\nname = "new"\ngateways = ["c"]', [gateway("a"), gateway("c")])
    assert found["after"]["success"] is None and found["after"]["success_known_of"] == 0
    assert found["before"]["cost"] == {"EUR": 9000}, "of b nothing is known any more"
    nowhere = run('[[rules]]\nname = "gone"\ngateways = ["c"]', [gateway("a"), gateway("b")])
    assert nowhere["after"]["gateways"] == {NOWHERE: 1000} and nowhere["after"]["cost"] == {}


def test_the_success_strategy_learns_from_what_happened() -> None:
    found = run(
        '[[rules]]\nname = "best"\nstrategy = "success"', [gateway("a"), gateway("b")], 3000
    )
    assert found["after"]["gateways"]["a"] > found["after"]["gateways"]["b"]


def test_in_words() -> None:
    gateways = [gateway("a"), gateway("b")]
    told = _lines(run('[[rules]]\nname = "new"\ngateways = ["b"]', gateways))
    assert told[:2] == [
        "1000 payments; 900 would go to another gateway first.",
        "  900 from a to b",
    ]
    assert told[2] == "Rule new: 1000 payments."
    assert told[5].startswith("By these rules: cost 10000.00 EUR (minor units); 50.00% succeed")
    assert told[6].startswith("In fact, under rule (none): ")


def test_rules_are_compared_by_what_came_of_them() -> None:
    found = compared({"a": (900, 1000), "b": (850, 1000), "c": (5, 6)})
    assert [each["rules"] for each in found["pairs"]] == [["a", "b"]], "of c too little is known"
    (pair,) = found["pairs"]
    # z = 0.05 / sqrt(0.875 * 0.125 * 2 / 1000) = 3.3806, as tables have it.
    assert pair["difference"] == 0.05 and pair["p"] == pytest.approx(0.0007, abs=5e-5)
    assert p_value((10, 100), (10, 100)) == 1.0 == p_value((9, 9), (40, 40))
    # Wilson's interval of 900 in 1000.
    assert (found["rules"]["a"]["from"], found["rules"]["a"]["to"]) == (0.8798, 0.9171)
    told = _in_fact(found)
    assert told[-1] == "a against b: +5.00 points, p = 0.0007: more than chance explains"


def test_chance_alone_is_seldom_significant() -> None:
    dice = random.Random(3)

    def flips() -> tuple[int, int]:
        return sum(dice.random() < 0.8 for _ in range(400)), 400

    seen = sum(p_value(flips(), flips()) < 0.05 for _ in range(400))
    assert 5 <= seen <= 40
