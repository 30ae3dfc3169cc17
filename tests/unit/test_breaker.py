"""The breaker of a gateway: it shuts on real failures, and opens with care."""

from bailiwick.routing.breaker import (
    CALM_S,
    PAUSE_MAX_S,
    PAUSE_MIN_S,
    TRIALS,
    WINDOW,
    WINDOW_MIN,
    Breaker,
)


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def made() -> tuple[Breaker, Clock]:
    clock = Clock()
    return Breaker(clock), clock


def fail(breaker: Breaker, times: int) -> None:
    for _ in range(times):
        breaker.saw(False)


def test_a_few_failures_mean_nothing() -> None:
    breaker, _ = made()
    fail(breaker, WINDOW_MIN - 1)
    assert breaker.why_shut(0) is None
    breaker.saw(False)
    assert breaker.why_shut(0) is not None


def test_half_of_the_calls_may_fail() -> None:
    breaker, _ = made()
    for n in range(4 * WINDOW):
        breaker.saw(n % 2 == 0)
        assert breaker.why_shut(0) is None


def test_trials_open_it_again_and_forget_the_past() -> None:
    breaker, clock = made()
    fail(breaker, WINDOW_MIN)
    clock.now += PAUSE_MIN_S - 0.01
    assert breaker.why_shut(0) is not None
    clock.now += 0.02
    assert breaker.why_shut(0) is None
    assert breaker.why_shut(TRIALS) == "on trial after failures", "only a trickle on trial"
    for _ in range(TRIALS):
        breaker.saw(True)
    assert breaker.why_shut(10_000) is None
    fail(breaker, WINDOW_MIN - 1)
    assert breaker.why_shut(0) is None


def pause_after_failed_trial(breaker: Breaker, clock: Clock, before: float) -> float:
    clock.now += before + 0.01
    assert breaker.why_shut(0) is None
    breaker.saw(False)
    start = clock.now
    while breaker.why_shut(0) is not None:
        clock.now += 0.5
    return clock.now - start


def test_a_failed_trial_doubles_the_pause_up_to_a_bound() -> None:
    breaker, clock = made()
    fail(breaker, WINDOW_MIN)
    pause = PAUSE_MIN_S
    for _ in range(8):
        longer = min(pause * 2, PAUSE_MAX_S)
        assert abs(pause_after_failed_trial(breaker, clock, pause) - longer) <= 0.5
        pause = longer
    assert pause == PAUSE_MAX_S
    clock.now += pause
    for _ in range(TRIALS):
        breaker.saw(True)
    clock.now += CALM_S
    fail(breaker, WINDOW_MIN)
    clock.now += PAUSE_MIN_S + 0.01
    assert breaker.why_shut(0) is None, "after a recovery the pause is short again"


def test_what_fails_again_at_once_is_kept_out_longer_and_longer() -> None:
    breaker, clock = made()
    changes = 0
    for _ in range(12):
        fail(breaker, WINDOW_MIN)
        changes += 1
        while breaker.state == "closed":
            clock.now += 0.5
        while breaker.state == "trial":
            breaker.saw(True)
    assert breaker.state == "open"
    begun = clock.now
    assert begun > 1_000 + 5 * PAUSE_MAX_S, f"{changes} changes took longer and longer"
    fail(breaker, WINDOW_MIN)
    clock.now += PAUSE_MAX_S
    for _ in range(TRIALS):
        breaker.saw(True)
    assert breaker.state == "trial", "three good ones are no proof any more"


def test_calls_that_were_under_way_when_it_shut_are_no_trials() -> None:
    breaker, clock = made()
    fail(breaker, WINDOW_MIN)
    fail(breaker, 50)
    for _ in range(TRIALS):
        breaker.saw(True)
    assert breaker.why_shut(0) is not None, "late successes do not end the pause"
    clock.now += PAUSE_MIN_S + 0.01
    assert breaker.why_shut(0) is None, "late failures do not lengthen it"
    assert breaker.why_shut(TRIALS) is not None, "and it is still on trial"
