"""When deliveries are tried again: for three days whatever the dice say, and never in a hurry."""

import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bailiwick.delivery.schedule import (
    BACKOFF_MAX_MS,
    SPAN_MIN_MS,
    SPREAD,
    TRIES_MIN,
    again_ms,
    backoff_ms,
    shortest_ms,
)

HOUR_MS = 3_600_000
SHARES = st.floats(0.0, 1.0)


def tried_at(share: object, took_ms: int = 0) -> list[int]:
    """When each try begins until it is given up; ``share``: the dice, a function."""
    began, tries = [0], 1
    while (gap := again_ms(tries, began[-1] + took_ms, share())) is not None:  # type: ignore[operator]
        began.append(began[-1] + took_ms + gap)
        tries += 1
    return began


@given(st.integers(0, 2**64), st.integers(0, 15_000))
@settings(max_examples=300, deadline=None)
def test_it_goes_on_for_three_days_with_any_dice(seed: int, took_ms: int) -> None:
    began = tried_at(random.Random(seed).random, took_ms)
    assert began[-1] >= SPAN_MIN_MS >= 75 * HOUR_MS
    assert began[-1] <= 150 * HOUR_MS, "and not for ever"
    assert TRIES_MIN <= len(began) <= 2 * TRIES_MIN


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_the_extremes_of_the_dice(share: float) -> None:
    began = tried_at(lambda: share)
    assert began[-1] >= SPAN_MIN_MS and len(began) >= TRIES_MIN


@given(st.lists(SHARES, min_size=TRIES_MIN, max_size=TRIES_MIN))
def test_nobody_is_hammered(shares: list[float]) -> None:
    gaps = [backoff_ms(tries, share) for tries, share in enumerate(shares, 1)]
    began = [sum(gaps[:n]) for n in range(len(gaps))]
    assert min(gaps) >= 1_000
    for span_ms, most in ((60_000, 7), (HOUR_MS, 13), (24 * HOUR_MS, 21)):
        for start in began:
            assert sum(start <= each < start + span_ms for each in began) <= most
    for before, after in pairwise(range(1, TRIES_MIN)):
        assert backoff_ms(before, 0.5) <= backoff_ms(after, 0.5), "gaps grow but for the dice"


@given(st.integers(1, 10**6), SHARES)
def test_every_gap_is_bounded_and_spread(tries: int, share: float) -> None:
    gap = backoff_ms(tries, share)
    assert gap <= BACKOFF_MAX_MS * (1 + SPREAD / 2)
    assert backoff_ms(tries, 1.0) - backoff_ms(tries, 0.0) >= 0.49 * gap / (1 + SPREAD / 2)


@given(st.integers(TRIES_MIN, 10**6), st.integers(0, SPAN_MIN_MS - 1))
def test_tries_that_were_cut_short_do_not_end_it_early(tries: int, age_ms: int) -> None:
    """A process that dies again and again uses up forty leases in forty minutes."""
    assert again_ms(tries, age_ms, 0.0) == backoff_ms(tries, 0.0)
    assert again_ms(tries, SPAN_MIN_MS, 0.0) is None
    assert again_ms(TRIES_MIN - 1, 10 * SPAN_MIN_MS, 0.0) is not None


def test_the_earliest_times_are_those_of_the_lowest_dice() -> None:
    assert shortest_ms() == tried_at(lambda: 0.0)[:TRIES_MIN]
    assert shortest_ms()[-1] >= SPAN_MIN_MS
