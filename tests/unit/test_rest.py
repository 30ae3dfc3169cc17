"""A gateway that is asked to rest does, for as long as it is told; retries are a share of all."""

import pytest
from hypothesis import given
from hypothesis import strategies as some

from bailiwick.routing.rest import LONGEST_S, TOLD_LONGEST_S, WHY, Rest
from bailiwick.routing.retry_budget import RESERVE, RetryBudget

S = 1_000_000_000


class Clock:
    """Both clocks, moved by the test."""

    def __init__(self) -> None:
        self.now_ns = 5 * S
        self.rest = Rest(lambda: self.now_ns, lambda: 1_792_000_000_000)

    def on(self, seconds: float) -> None:
        self.now_ns += int(seconds * S)

    def turned_away(self, told: str | None = None, begun_ns: int | None = None) -> None:
        self.rest.told(self.now_ns if begun_ns is None else begun_ns, told)

    def lasts(self) -> float:
        """Seconds until something new may come."""
        begun_ns = self.now_ns
        while self.rest.why() is not None:
            assert self.rest.why() == WHY
            self.on(0.25)
        return (self.now_ns - begun_ns) / S


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        ("7", 7.0), (" 7 ", 7.0), ("0", 1.0), ("86400", TOLD_LONGEST_S),
        ("9" * 400, TOLD_LONGEST_S), ("Wed, 14 Oct 2026 17:47:00 GMT", 20.0),
        ("Wed, 14 Oct 2026 18:47:00 GMT", TOLD_LONGEST_S), ("Wed, 01 Jan 2020 00:00:00 GMT", 1.0),
        (None, 1.0), ("", 1.0), ("soon", 1.0), ("-5", 1.0), ("1.5", 1.0), ("٣", 1.0),
    ],
)  # fmt: skip
def test_it_lasts_as_long_as_is_said(told: str | None, seconds: float) -> None:
    clock = Clock()
    assert clock.rest.why() is None
    clock.turned_away(told)
    assert clock.lasts() == seconds


def test_without_a_word_each_is_twice_as_long_until_one_is_looked_at() -> None:
    clock, wanted = Clock(), 1.0
    for _ in range(9):
        clock.turned_away()
        assert clock.lasts() == min(wanted, LONGEST_S)
        wanted *= 2
    clock.rest.well(clock.now_ns)
    clock.turned_away()
    assert clock.lasts() == 1.0


def test_a_crowd_that_was_under_way_is_turned_away_once() -> None:
    clock = Clock()
    begun_ns = clock.now_ns
    for _ in range(500):
        clock.turned_away(begun_ns=begun_ns)
        clock.on(0.001)
    assert clock.lasts() == 0.5, "of the first second, half is over"
    clock.turned_away("20")
    clock.turned_away("3", begun_ns=begun_ns)
    assert clock.lasts() == 20, "a shorter word does not end a longer rest"


@given(some.text() | some.none())
def test_whatever_is_said_it_ends(told: str | None) -> None:
    clock = Clock()
    clock.turned_away(told)
    assert clock.rest.why() == WHY
    clock.on(TOLD_LONGEST_S)
    assert clock.rest.why() is None


def test_retries_are_a_share_of_first_tries() -> None:
    budget = RetryBudget(0.25)
    took = 0
    for _ in range(10_000):
        budget.first()
        took += budget.take()
    assert took == budget.spent and budget.refused == 10_000 - took
    assert 2_500 <= took <= 2_500 + RESERVE


def test_a_quiet_node_has_some_in_hand() -> None:
    budget = RetryBudget(0)
    assert sum(budget.take() for _ in range(1_000)) == RESERVE
