"""What a gateway's traffic says of it: on a clock of the test's own, with seeded traffic."""

import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as some

from bailiwick.channels.contract import Outcome, Result, unknown
from bailiwick.routing.breaker import CALM_S, PAUSE_MAX_S, TRIALS, Breaker
from bailiwick.routing.health.grey import SEGMENTS_MAX, Health
from bailiwick.routing.health.segments import ALL, segment_of
from bailiwick.routing.health.verdicts import seen
from bailiwick.routing.health.windows import Counts, Seen, Window, at_least

CARD_DE, CARD_FR, PIX = (segment_of(*each.split()) for each in ("card DE", "card FR", "pix BR"))
Provider = Callable[["Traffic", str], tuple[Seen, int]]


class Traffic:
    """Payments at one gateway, one every ``1 / rate`` seconds; those that it is asked last for go
    to another, but for the trickle."""

    def __init__(self, seed: int = 1, rate: float = 10.0) -> None:
        self.now = 10_000.0
        self.chance = random.Random(seed)
        self.rate = rate
        self.health = Health(lambda: self.now)
        self.breaker = Breaker(lambda: self.now)
        self.changes: list[tuple[float, bool]] = []
        self.sent = 0

    def demoted(self, segment: str = ALL) -> bool:
        found = self.health.demoted()
        return ALL in found or segment in found

    def run(
        self, seconds: float, provider: Provider, segments: tuple[str, ...] = (CARD_DE,)
    ) -> None:
        end = self.now + seconds
        while self.now < end:
            self.now += 1 / self.rate
            self.pay(provider, self.chance.choice(segments))
            if int(self.now) != int(self.now - 1 / self.rate):
                self.health.look()

    def pay(self, provider: Provider, segment: str) -> None:
        before = self.demoted(segment)
        if not before:
            self.sent += 1
            call = self.health.began(segment)
            outcome, ms = provider(self, segment)
            self.health.ended(call)
            if self.health.saw(outcome, ms, segment):
                self.breaker.saw(outcome is not Seen.FAILED)
        if not self.changes or self.changes[-1][1] != self.demoted(segment):
            self.changes.append((self.now, self.demoted(segment)))

    def noticed(self, within_s: float, provider: Provider, segment: str = CARD_DE) -> float:
        """Seconds until a failure that begins now is seen."""
        begun = self.now
        while not self.demoted(segment):
            self.run(0.5, provider, (segment,))
            assert self.now - begun <= within_s, "it was not seen"
        return self.now - begun


def failing(share: float, ms: int = 200) -> Provider:
    """A provider that is unable that often, and else approves nine of ten."""

    def provider(traffic: Traffic, segment: str) -> tuple[Seen, int]:
        if traffic.chance.random() < share:
            return Seen.FAILED, ms
        return (Seen.REFUSED if traffic.chance.random() < 0.1 else Seen.GOOD), ms

    return provider


def declining(share: float, how: Seen) -> Provider:
    return lambda traffic, segment: (how if traffic.chance.random() < share else Seen.GOOD, 200)


def only(bad: str, share: float = 1.0) -> Provider:
    """One that fails for one segment."""
    ill, well = failing(share), failing(0.0)
    return lambda traffic, segment: (ill if segment == bad else well)(traffic, segment)


SEEDS = range(6)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    "grey",
    [failing(0.35), failing(0.6), failing(1.0), failing(0.0, 6_000), declining(0.9, Seen.VAGUE)],
    ids=["a third fails", "most fails", "all fails", "slow", "all is declined"],
)
def test_a_grey_failure_is_seen_within_ten_seconds(seed: int, grey: Provider) -> None:
    traffic = Traffic(seed)
    traffic.run(120, failing(0.01))
    assert not traffic.demoted(CARD_DE)
    assert traffic.noticed(10.0, grey) <= 10.0


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    "usual",
    [failing(0.0), failing(0.03), failing(0.08), declining(0.2, Seen.VAGUE)],
    ids=["well", "three of a hundred", "eight of a hundred", "many declines"],
)
def test_what_is_usual_is_no_failure(seed: int, usual: Provider) -> None:
    traffic = Traffic(seed)
    traffic.run(900, usual)
    assert [demoted for _, demoted in traffic.changes] == [False]


@pytest.mark.parametrize("share", [0.5, 1.0])
def test_declines_that_are_the_payer_s_never_are(share: float) -> None:
    """Somebody tries stolen cards: the provider does what it is for."""
    traffic = Traffic()
    traffic.run(120, failing(0.0))
    traffic.run(600, declining(share, Seen.REFUSED))
    assert [demoted for _, demoted in traffic.changes] == [False]
    assert traffic.breaker.state == "open"


def test_calls_that_hang_are_seen_before_they_end() -> None:
    traffic = Traffic(rate=4)
    traffic.run(120, failing(0.0))
    begun = traffic.now
    calls = []
    while not traffic.demoted(CARD_DE):
        traffic.now += 0.25
        calls.append(traffic.health.began(CARD_DE))
        traffic.health.look()
        assert traffic.now - begun <= 10.0
    for call in calls:
        traffic.health.ended(call)
        traffic.health.saw(Seen.FAILED, 30_000, CARD_DE)
    assert traffic.demoted(CARD_DE)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_segment_that_fails_alone_is_demoted_alone(seed: int) -> None:
    traffic = Traffic(seed, rate=20)
    everybody = (CARD_DE, CARD_FR, PIX)
    traffic.run(120, failing(0.01), everybody)
    begun = traffic.now
    while not traffic.demoted(PIX):
        traffic.run(0.5, only(PIX), everybody)
        assert traffic.now - begun <= 10.0
    traffic.run(60, only(PIX), everybody)
    assert set(traffic.health.demoted()) <= {PIX}
    assert traffic.breaker.state == "open", "the others go on there"
    traffic.run(240, failing(0.01), everybody)
    assert not traffic.demoted(PIX)


def test_a_segment_of_most_of_the_traffic_too() -> None:
    traffic = Traffic(3, rate=20)
    everybody = (PIX, PIX, PIX, CARD_DE, CARD_FR)
    traffic.run(120, failing(0.0), everybody)
    traffic.run(30, only(PIX), everybody)
    assert ALL not in traffic.health.demoted() and traffic.breaker.state == "open"
    assert PIX in {each["method"] + " BR" for each in traffic.health.shown() if each["method"]}


def test_where_all_fail_it_is_the_gateway() -> None:
    traffic = Traffic(rate=20)
    everybody = (CARD_DE, CARD_FR, PIX)
    traffic.run(60, failing(0.0), everybody)
    traffic.run(5, failing(1.0), everybody)
    assert ALL in traffic.health.demoted()
    assert traffic.breaker.state == "closed"


def test_a_trickle_tries_it_and_it_comes_back() -> None:
    traffic = Traffic()
    traffic.run(60, failing(0.0))
    traffic.noticed(10.0, failing(1.0))
    sent = traffic.sent
    traffic.run(30, failing(1.0))
    assert 1 <= traffic.sent - sent <= 8, "while it fails it gets a trickle"
    while traffic.health.troubled and ALL in traffic.health.demoted():
        traffic.now += 1
    calls = []
    while not traffic.demoted(CARD_DE):
        calls.append(traffic.health.began(CARD_DE))
    assert len(calls) == TRIALS
    for call in calls:
        traffic.health.ended(call)
        traffic.health.saw(Seen.GOOD, 200, CARD_DE)
    traffic.run(2 * CALM_S, failing(0.0))
    assert not traffic.demoted(CARD_DE) and traffic.breaker.state == "open"


@pytest.mark.parametrize("seed", SEEDS)
def test_it_does_not_flap(seed: int) -> None:
    """A third of the calls fails for an hour: what a trial says is chance."""
    traffic = Traffic(seed)
    traffic.run(120, failing(0.01))
    begun = traffic.now
    traffic.run(3_600, failing(0.35))
    turns = [at for at, demoted in traffic.changes if demoted]
    gone = [at for at in turns if at - begun > 600]
    assert len(gone) <= 3_000 / (PAUSE_MAX_S / 2), "not twice a minute"
    assert traffic.sent < 120 * 10 + 0.15 * 36_000, "most payments go elsewhere"


# --- windows


@given(
    some.lists(
        some.tuples(some.floats(0, 4), some.sampled_from(Seen), some.integers(0, 100)), max_size=80
    )
)
def test_a_window_has_what_its_seconds_have(steps: list[tuple[float, Seen, int]]) -> None:
    now = 100.0
    window = Window(lambda: now, 1.0, 10)
    told: list[tuple[float, Seen, int]] = []
    for pause, outcome, ms in steps:
        now += pause
        window.add(outcome, ms, slow=ms > 50)
        told.append((now, outcome, ms))
        kept = [each for each in told if int(now) - int(each[0]) < 10]
        counts = window.counts()
        assert counts.calls == len(kept)
        assert counts.failed == sum(each[1] is Seen.FAILED for each in kept)
        assert counts.slow == sum(each[2] > 50 for each in kept)
        assert counts.ms == sum(each[2] for each in kept)
    now += 10
    assert window.counts().calls == 0


def test_one_window_is_taken_out_of_another() -> None:
    now = 100.0
    whole, part = (Window(lambda: now, 1.0, 10) for _ in range(2))
    for second in range(14):
        now = 100.0 + second
        whole.add(Seen.GOOD, 5, slow=False)
        for window in (whole, part):
            window.add(Seen.FAILED, 7, slow=True)
    whole.forget(part)
    assert (whole.counts().calls, whole.counts().good, whole.counts().ms) == (10, 10, 50)


@given(some.integers(1, 5_000), some.floats(0, 1))
def test_a_share_that_is_surely_reached(of: int, share: float) -> None:
    """By what defines it: from there the share is three deviations away."""
    count = round(share * of)
    least = at_least(count, of)
    assert 0 <= least <= count / of + 1e-12
    away = (count / of - least) ** 2
    assert away == pytest.approx(9 * least * (1 - least) / of, abs=1e-9)
    assert at_least(0, 0) == 0


def test_counts_add_up() -> None:
    counts = Counts(1, 2, 3, 4, 5, 6)
    assert counts.calls == 10 and counts.times(3).calls == 30
    assert counts.less(Counts(1, 1, 1, 1, 1, 1)).calls == 6
    assert counts.less(Counts(9, 9, 9, 9, 9, 9)).calls == 0


def test_segments_are_bounded_and_what_is_known_of_trouble_is_kept() -> None:
    traffic = Traffic()
    traffic.run(60, failing(0.0), (CARD_DE, CARD_FR))
    traffic.run(20, only(PIX), (CARD_DE, CARD_FR, PIX))
    assert PIX in traffic.health.troubled
    for number in range(3 * SEGMENTS_MAX):
        traffic.health.saw(Seen.GOOD, 100, segment_of("card", f"X{number}"))
    assert len(traffic.health.shown()) <= SEGMENTS_MAX + 1
    assert PIX in traffic.health.troubled


@pytest.mark.parametrize(
    ("result", "what"),
    [
        (unknown("timeout"), Seen.FAILED),
        (Result(Outcome.APPROVED), Seen.GOOD),
        (Result(Outcome.PENDING), Seen.GOOD),
        (Result(Outcome.DECLINED, code="card_declined", decline_code="insufficient_funds"),
         Seen.REFUSED),
        (Result(Outcome.DECLINED, code="expired_card"), Seen.REFUSED),
        (Result(Outcome.DECLINED, code="card_declined", decline_code="card_not_supported",
                retryable=True), Seen.REFUSED),
        (Result(Outcome.DECLINED, code="card_declined", decline_code="generic_decline"),
         Seen.VAGUE),
        (Result(Outcome.DECLINED, code="processing_error", retryable=True), Seen.FAILED),
        (Result(Outcome.DECLINED), Seen.VAGUE),
    ],
)  # fmt: skip
def test_what_an_outcome_says(result: Result, what: Seen) -> None:
    assert seen(result) is what
