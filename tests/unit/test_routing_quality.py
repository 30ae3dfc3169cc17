"""The success strategy, judged in a simulated world of which the truth is known; and what it is
made of."""

import random

import pytest

from bailiwick.routing.strategies.belief import ALARM, Belief, Break
from bailiwick.routing.strategies.learner import COLD, Learner
from bailiwick.topology.routes.parts import Facts
from bailiwick_lab.bench.routes import report
from bailiwick_lab.bench.routes.splits import SPLITS, deviation, deviation_with_outages

START_MS = 1_800_000_000_000
SEED = 1


def payment(at_s: float = 0.0, country: str = "DE") -> Facts:
    return Facts("acct_shop", True, country, "EUR", 1000, ("card",), START_MS + int(at_s * 1000))


@pytest.fixture(scope="module")
def found() -> dict[str, object]:
    return report.document(*report.simulate(SEED, 2.0))


@pytest.mark.timeout(300)
def test_most_of_an_oracles_advantage_is_recovered(found: dict[str, object]) -> None:
    assert isinstance(found["recovered"], float) and found["recovered"] >= 0.9
    assert isinstance(found["success"], dict)
    rates = [found["success"][name] for name in ("static_priority", "success_strategy", "oracle")]
    assert rates == sorted(rates) and rates[2] - rates[0] > 0.05, "there is something to gain"


def test_a_brown_out_is_left_within_ten_seconds_where_outcomes_are_known_soon(
    found: dict[str, object],
) -> None:
    assert isinstance(found["brown_outs"], list)
    soon = [each for each in found["brown_outs"] if each["outcomes_known_after_s"] < report.SOON_S]
    assert soon and all(each["given_up_after_s"] <= 10 for each in soon)


def test_it_does_not_flap(found: dict[str, object]) -> None:
    turns = found["turns_per_market_and_hour"]
    assert isinstance(turns, dict)
    assert turns["success_strategy"] <= 2 * turns["oracle"]
    told = report.lines(found)
    assert f"recovered of the oracle's advantage: {found['recovered']:.1%}" in told


def test_the_same_seed_gives_the_same_figures() -> None:
    one, other, another = (report.document(*report.simulate(seed, 0.05)) for seed in (3, 3, 4))
    assert one == other != another


@pytest.mark.parametrize("shares", SPLITS, ids=str)
def test_splits_are_exact_also_while_gateways_come_and_go(shares: dict[str, int]) -> None:
    assert deviation(shares) < 0.0005
    assert max(deviation_with_outages(shares, seed) for seed in range(5)) < 0.0005


def known(chance: float, count: int = 400) -> Belief:
    belief, dice = Belief(), random.Random(5)
    for _ in range(count):
        belief.learn(dice.random() < chance, chance, START_MS, START_MS)
    return belief


def test_a_fall_is_seen_within_a_dozen_failures_and_the_rise_brings_back_what_was_known() -> None:
    belief = known(0.9)
    before = belief.posterior(START_MS, (0.0, 0.0))
    seen = [belief.learn(False, 0.9, START_MS + 1, START_MS + 1) for _ in range(12)]
    assert Break.FALL in seen
    good, bad = belief.posterior(START_MS + 1, (1.0, 1.0))
    assert good / (good + bad) < 0.3 and belief.weight(START_MS + 1) < 20
    # What was decided on before the break says nothing.
    weight = belief.weight(START_MS + 2)
    assert belief.learn(True, 0.2, START_MS + 2, START_MS) is None
    assert belief.weight(START_MS + 2) == weight
    later = START_MS + 60_000
    yes = 0
    while belief.learn(True, 0.2, later, later) is not Break.RISE:
        yes += 1
    assert yes < 10
    good, bad = belief.posterior(later, (0.0, 0.0))
    assert good == pytest.approx(before[0], abs=15) and bad == pytest.approx(before[1], abs=15)


def test_chance_alone_raises_the_alarm_seldom() -> None:
    belief, dice, alarms = known(0.9), random.Random(9), 0
    for _ in range(20_000):
        alarms += belief.learn(dice.random() < 0.9, 0.9, START_MS, START_MS) is not None
    assert alarms <= 10 and ALARM > 0


def test_what_was_long_ago_is_forgotten() -> None:
    belief = known(0.9)
    assert belief.weight(START_MS + 1_800_000) == pytest.approx(200)
    late = Belief()
    late.learn(True, 0.5, START_MS + 1_800_000, START_MS)
    assert late.weight(START_MS + 1_800_000) == pytest.approx(0.5), "late news counts less"


def test_a_kind_that_is_hardly_known_believes_the_wider_kinds() -> None:
    learner = Learner()
    for number in range(200):
        learner.learn("good", payment(), number % 10 > 0, START_MS, START_MS)
        learner.learn("bad", payment(), number % 2 > 0, START_MS, START_MS)
    order, reason = learner.order(payment(1, country="FR"), "quiet", ["bad", "good"])
    assert order == ["good", "bad"]
    assert reason("good", 0).endswith("of payments like this should succeed")
    rate = learner.rate(payment(1, country="FR"), "bad")
    assert rate == pytest.approx(0.5, abs=0.05)
    assert Learner().rate(payment(), "bad") is None and COLD > 0
