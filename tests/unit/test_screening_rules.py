"""Lists, limits and scores: as they are read, and what they make of a charge."""

from typing import Any

import pytest

from bailiwick.screening.facts import Facts, Verdict, withholding
from bailiwick.screening.scorer import Score
from bailiwick.screening.screener import of_lists, of_score
from bailiwick.topology.merchants import parse
from bailiwick.topology.reading import WorldError
from bailiwick.topology.screening import Limit, Listed, Scorer, Screening, normal

SHOP = '[[merchants]]\nid = "acct_shop"\nname = "Shop"\n'
FACTS = Facts(
    reference="r", merchant="acct_shop", livemode=False, payment="pi_1", amount=1000,
    currency="EUR", country="DE", method="card", card="f1", customer="cus_1",
    ip_address="2001:db8:1:2:3:4:5:6", email="Eve@Example.com",
)  # fmt: skip


def read(text: str) -> Screening | None:
    return parse(text.encode()).all[0].screening


def problems(text: str) -> list[str]:
    with pytest.raises(WorldError) as refused:
        parse(text.encode())
    return refused.value.problems


def test_without_tables_nothing_is_screened() -> None:
    assert read(SHOP) is None


def test_tables_of_a_merchant_come_after_those_of_all() -> None:
    found = read(
        '[[lists]]\nname = "stolen"\nby = "card"\nvalues = ["f1"]\n'
        "[scorer]\nblock_from = 80\nwhen_late = 'block'\n"
        + SHOP
        + '[[merchants.lists]]\nname = "staff"\naction = "allow"\nby = "email"\n'
        'values = ["Ann@Example.com"]\n'
        '[[merchants.velocity]]\nname = "tries"\nby = "customer"\nwithin = "10m"\nattempts = 3\n'
        '[[merchants.velocity]]\nname = "sum"\nby = "merchant"\nwithin = "1d"\n'
        'amount = 500\ncurrency = "EUR"\n'
    )
    assert found == Screening(
        (
            Listed("stolen", "block", "card", frozenset({"f1"})),
            Listed("staff", "allow", "email", frozenset({"ann@example.com"})),
        ),
        (
            Limit("tries", "customer", 600_000, 3),
            Limit("sum", "merchant", 86_400_000, 500, "EUR"),
        ),
        Scorer(80, 65, "block", 500),
    )


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ('[[lists]]\nname = "A b"\nby = "card"\nvalues = ["x"]', "lists[0].name: must be small"),
        ('[[lists]]\nname = "a"\nby = "cards"\nvalues = ["x"]', "did you mean 'card'?"),
        ('[[lists]]\nname = "a"\nby = "country"\nvalues = ["Germany"]', "lists[0].values"),
        ('[[lists]]\nname = "a"\nby = "ip_address"\nvalues = ["1.2.3.4/8"]', "without port or"),
        ('[[lists]]\nname = "a"\nby = "card"\nvalues = []', "must not be empty"),
        ('[[lists]]\nname = "a"\nby = "card"\nvalues = [""]', "each has 1 to 255"),
        ('[[velocity]]\nname = "a"\nby = "card"\nwithin = "1h"', "or amount, with currency"),
        (
            '[[velocity]]\nname = "a"\nby = "card"\nwithin = "1h"\nattempts = 2\namount = 3',
            "write one of them",
        ),
        (
            '[[velocity]]\nname = "a"\nby = "card"\nwithin = "1h"\nattempts = 2\ncurrency = "EUR"',
            "goes with amount",
        ),
        (
            '[[velocity]]\nname = "a"\nby = "card"\nwithin = "1h"\namount = 2\ncurrency = "eur"',
            "ISO 4217",
        ),
        ('[[velocity]]\nname = "a"\nby = "card"\nwithin = "32d"\nattempts = 2', "at most 31d"),
        ('[[velocity]]\nname = "a"\nby = "card"\nwithin = "1 h"\nattempts = 2', "like 30s"),
        ('[[velocity]]\nname = "a"\nby = "country"\nwithin = "1h"\nattempts = 2', "one of card"),
        ("[scorer]\nblock_from = 50\nelevated_from = 60\nwhen_late = 'allow'", "above block_from"),
        ("[scorer]\nblock_from = 50", "scorer.when_late: is missing"),
        ("[scorer]\nwhen_late = 'allow'\ndeadline_ms = 9999", "from 10 to 3000"),
    ],
)
def test_what_is_wrong_is_named(table: str, said: str) -> None:
    assert any(said in line for line in problems(f"{table}\n{SHOP}"))


def test_a_name_is_used_once() -> None:
    one = '[[lists]]\nname = "a"\nby = "card"\nvalues = ["x"]\n'
    own = '[[merchants.velocity]]\nname = "a"\nby = "card"\nwithin = "1h"\nattempts = 1\n'
    assert any("'a' is used twice" in line for line in problems(f"{one}{SHOP}{own}"))


@pytest.mark.parametrize(
    ("by", "value", "same"),
    [
        ("ip_address", "2001:db8:1:2:ffff::1", "2001:db8:1:2::"),
        ("ip_address", "::ffff:10.1.2.3", "10.1.2.3"),
        ("ip_address", " 10.1.2.3 ", "10.1.2.3"),
        ("ip_address", "nowhere", None),
        ("email", " Eve@Example.COM", "eve@example.com"),
        ("customer", "cus_A", "cus_A"),
    ],
)
def test_what_is_the_same_to_a_list(by: Any, value: str, same: str | None) -> None:
    assert normal(by, value) == same


def listed(action: Any, by: Any, value: str, name: str = "a") -> Listed:
    return Listed(name, action, by, frozenset({value}))


def test_lists_compare_what_is_known() -> None:
    hit = listed("block", "ip_address", "2001:db8:1:2::")
    assert of_lists(FACTS, (listed("block", "card", "f2"), hit)) is hit
    assert of_lists(FACTS, (listed("block", "email", "eve@example.com"),)) is not None
    nobody = Facts("r", "acct_shop", False, "pi_1", 1000, "EUR", "DE", "card")
    assert of_lists(nobody, (hit, listed("block", "customer", "cus_1"))) is None
    assert of_lists(nobody, (listed("block", "country", "DE"),)) is not None


def test_who_is_refused_is_not_trusted() -> None:
    trusted, refused = listed("allow", "card", "f1", "b"), listed("block", "customer", "cus_1")
    assert of_lists(FACTS, (trusted, refused)) is refused
    assert of_lists(FACTS, (trusted,)) is trusted


@pytest.mark.parametrize(
    ("score", "blocked", "level"),
    [(0, False, "normal"), (64, False, "normal"), (65, False, "elevated"),
     (74, False, "elevated"), (75, True, "highest"), (100, True, "highest")],
)  # fmt: skip
def test_what_a_score_means(score: int, blocked: bool, level: str) -> None:
    verdict = of_score(Score(score), Scorer(75, 65, "allow", 100))
    assert (verdict.blocked, verdict.level, verdict.score) == (blocked, level, score)
    assert withholding(verdict) == ("scorer:score" if blocked else None)


@pytest.mark.parametrize(("late", "blocked"), [("allow", False), ("block", True)])
def test_no_score_is_what_the_merchant_says(late: Any, blocked: bool) -> None:
    verdict = of_score(None, Scorer(75, 65, late, 100))
    assert verdict == Verdict(blocked, "scorer", "no_answer")
    assert verdict.level == "not_assessed"
