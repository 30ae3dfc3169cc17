"""Admission: the adaptive limit against a simulated node, and the counts around it."""

import heapq
import random
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from bailiwick.admission import load as load_module
from bailiwick.admission.limit import LEAST, START, Limit
from bailiwick.admission.load import (
    OPEN_MORE,
    RECENT,
    RECENT_MIN,
    RECENT_S,
    REFUSING_MAX,
    RESERVED_MIN,
    SINCE_REPORT,
    Load,
    Overloaded,
    current,
)

TARGET_MS = 100.0


class Simulated:
    """A node in virtual time: one processor, and a writer that commits what waits in batches.

    A payment takes ``cpu_ms`` of the processor in four parts, two commits, and its provider's time
    between them. Refusals cost ``refuse_ms`` each.
    """

    def __init__(
        self,
        *,
        cpu_ms: float = 1.0,
        commit_ms: float = 2.0,
        provider_ms: float = 0.0,
        refuse_ms: float = 0.05,
        limited: bool = True,
    ) -> None:
        self.limit = Limit(1_024 if limited else 10**9, TARGET_MS, 0.0)
        self.limited = limited
        self.done: list[float] = []
        self.refused = 0
        self._cpu_ms, self._refuse_ms = cpu_ms, refuse_ms
        self._commit_ms, self._provider_ms = commit_ms, provider_ms
        self._chance = random.Random(3)
        self._agenda: list[tuple[float, int, Callable[[float], None]]] = []
        self._number = 0
        self._at_work = 0
        self._cpu_free = 0.0
        self._lane: list[Callable[[float], None]] = []
        self._writing = False

    def run(self, rate: float, seconds: float) -> "Simulated":
        self._arrive(0.0, rate / 1_000, seconds * 1_000)
        while self._agenda and self._agenda[0][0] < seconds * 1_000:
            at, _, event = heapq.heappop(self._agenda)
            event(at)
        return self

    def _at(self, when: float, event: Callable[[float], None]) -> None:
        self._number += 1
        heapq.heappush(self._agenda, (when, self._number, event))

    def _compute(self, now: float, took: float, then: Callable[[float], None]) -> None:
        self._cpu_free = max(self._cpu_free, now) + took
        self._at(self._cpu_free, then)

    def _commit(self, now: float, then: Callable[[float], None]) -> None:
        self._lane.append(then)
        self._write(now)

    def _write(self, now: float) -> None:
        if self._writing or not self._lane:
            return
        batch, self._lane = self._lane[:256], self._lane[256:]
        self._writing = True

        def written(at: float) -> None:
            self._writing = False
            for then in batch:
                then(at)
            self._write(at)

        self._at(now + self._commit_ms + 0.02 * len(batch), written)

    def _arrive(self, now: float, per_ms: float, until: float) -> None:
        if now < until:
            following = now + self._chance.expovariate(per_ms)
            self._at(following, lambda at: self._arrive(at, per_ms, until))
        if self.limited and self._at_work >= self.limit.now:
            self.refused += 1
            self._compute(now, self._refuse_ms, lambda at: None)
        else:
            self._at_work += 1
            self.limit.began(self._at_work)
            self._pay(now)

    def _pay(self, began: float) -> None:
        part = self._cpu_ms / 4
        away = self._provider_ms

        def called(at: float) -> None:
            self._at_work -= 1
            self._at(at + away, answered)

        def answered(at: float) -> None:
            self._at_work += 1
            self._compute(at, part, lambda at: self._commit(at, settled))

        def settled(at: float) -> None:
            self._compute(at, part, ended)

        def ended(at: float) -> None:
            self._at_work -= 1
            self.done.append(at)
            self.limit.ended(at - began - away, self._commit_ms, self._at_work, at)

        def permitted(at: float) -> None:
            self._compute(at, part, called)

        self._compute(began, part, lambda at: self._commit(at, permitted))

    def goodput(self, since_s: float, until_s: float) -> float:
        """Payments per second between two moments."""
        return sum(since_s * 1e3 <= at < until_s * 1e3 for at in self.done) / (until_s - since_s)


CAPACITY = 1_000.0
"""Payments per second that the simulated processor can do."""


def test_below_its_capacity_nothing_is_refused() -> None:
    node = Simulated().run(0.5 * CAPACITY, 5)
    assert node.refused == 0
    assert node.goodput(1, 5) > 0.45 * CAPACITY


@pytest.mark.parametrize("provider_ms", [0.0, 150.0])
def test_flooded_to_three_times_its_capacity_it_keeps_its_goodput(provider_ms: float) -> None:
    node = Simulated(refuse_ms=0.01, provider_ms=provider_ms).run(3 * CAPACITY, 8)
    # What refusals cost is no longer there for payments.
    assert node.goodput(2, 8) >= 0.95 * (CAPACITY - node.refused / 8 * 0.01)
    assert node.limit.own_ms < 2 * TARGET_MS
    # Without a limit each of them waits longer and longer, and no client is there any more.
    unlimited = Simulated(limited=False, provider_ms=provider_ms).run(3 * CAPACITY, 8)
    assert unlimited.limit.own_ms > 10 * TARGET_MS


def test_a_slow_provider_is_no_overload() -> None:
    node = Simulated(provider_ms=4_000).run(0.5 * CAPACITY, 10)
    assert node.refused == 0


def test_a_far_standby_is_no_overload() -> None:
    node = Simulated(commit_ms=60).run(0.5 * CAPACITY, 20)
    assert node.refused <= 0.25 * 20 * 0.5 * CAPACITY
    assert node.goodput(8, 20) > 0.45 * CAPACITY, "it has learnt what commits cost"


def test_after_a_flood_it_takes_everything_again() -> None:
    node = Simulated(refuse_ms=0.01)
    node.run(3 * CAPACITY, 4)
    refused = node.refused
    calm = Simulated(refuse_ms=0.01)
    calm.limit = node.limit
    calm.limit._began_ms = 0.0
    calm.run(0.8 * CAPACITY, 4)
    assert refused > 0
    assert calm.refused == 0


def test_a_stall_does_not_lock_the_node_shut() -> None:
    limit = Limit(1_024, TARGET_MS, 0.0)
    now = 0.0
    for _ in range(50):
        now += 1_000
        for _ in range(20):
            limit.ended(5_000.0, 1.0, 20, now)
    assert limit.now == LEAST
    assert Limit(4, TARGET_MS, 0.0).now == 4, "never above what is configured"


def test_few_samples_change_nothing() -> None:
    limit = Limit(1_024, TARGET_MS, 0.0)
    for second in range(100):
        limit.ended(5_000.0, 1.0, 0, second * 3_000.0)
    assert limit.now == START


def test_it_grows_only_when_it_is_used() -> None:
    limit = Limit(1_024, TARGET_MS, 0.0)
    now = 0.0
    for _ in range(1_000):
        now += 5
        limit.ended(5.0, 1.0, 1, now)
    assert limit.now == START
    for _ in range(1_000):
        now += 5
        limit.began(limit.now)
        limit.ended(5.0, 1.0, limit.now, now)
    assert limit.now == 1_024


# The counts


def made(capacity: int = 64) -> Load:
    lane = cast(Any, SimpleNamespace(lag_ms=3))
    return Load(1, capacity, lane, lane)


def test_those_at_their_provider_are_not_at_work() -> None:
    load = made(1_000)
    with load.working(new=True):
        spell = current()
        assert spell is not None
        assert (load.inflight, load.at_work) == (1, 1)
        spell.leave()
        assert (load.inflight, load.at_work) == (1, 0)
        spell.back()
        assert load.at_work == 1 and spell.away_ns > 0
    assert (load.inflight, load.at_work, current()) == (0, 0, None)


def test_new_payments_are_refused_first() -> None:
    load = made(64)
    load.inflight = 63
    assert load.refusal() is None and load.room() == 1
    assert not load.usage(1).shedding
    load.inflight = 64
    assert load.refusal() == "overloaded"
    assert load.usage(1).shedding
    load.check_reserve()
    load.inflight = 64 + RESERVED_MIN
    with pytest.raises(Overloaded) as shed:
        load.check_reserve()
    assert (shed.value.status, shed.value.retry, shed.value.headers["Retry-After"]) == (
        503, True, "1"
    )  # fmt: skip
    load.inflight, load.draining = 0, True
    assert load.refusal() == "draining"


def test_what_was_sent_by_a_report_is_taken_a_little_above_the_bound() -> None:
    load = made(64)
    load.inflight = 64 + 64 // SINCE_REPORT - 1
    assert load.refusal(seen_room=True) is None
    assert load.refusal() == "overloaded"
    load.inflight += 1
    assert load.refusal(seen_room=True) == "overloaded"
    load.inflight, load.draining = 0, True
    assert load.refusal(seen_room=True) == "draining"


def test_who_is_away_for_a_moment_makes_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(ns=10**12)
    monkeypatch.setattr(load_module.time, "monotonic_ns", lambda: clock.ns)
    load = made(1_000)
    load.limit.now = 64
    spells = []
    for _ in range(40):
        with load.working(new=True):
            spell = current()
        assert spell is not None
        spells.append(spell)
        load.inflight += 1
        spell.leave()
    assert load.room() == 64, "as far as the node itself can tell"
    assert load.spare() == load.usage(1).room == 24
    for _ in range(3):
        clock.ns += 110_000_000
        seen = load.spare()
    assert seen == 64, "they have all been away for a while: a slow provider's"
    for spell in spells[:30]:
        spell.back()
    load.inflight -= 30
    assert load.spare() == 64 + 10 - 10, "ten have been away all the time"
    load.inflight = 990
    assert load.spare() == 10 - 926, "never above capacity"


def test_the_nearer_bound_is_reported() -> None:
    load = made(1_000)
    load.inflight, load.away = 500, 490
    usage = load.usage(1)
    assert (usage.inflight, usage.capacity) == (500, 1_000)
    load.inflight, load.away = 500, 300
    usage = load.usage(1)
    assert (usage.inflight, usage.capacity) == (200, START)


def test_tombstones_under_way_are_bounded() -> None:
    load = made()
    with load.tombstone(REFUSING_MAX - 1), load.tombstone():
        with pytest.raises(Overloaded), load.tombstone():
            raise AssertionError("not reached")
        assert load.refusing == REFUSING_MAX
    assert (load.refusing, load.shed) == (0, 1)


def test_too_many_open_requests_are_not_even_read() -> None:
    load = made(64)
    load.open = 64 + OPEN_MORE
    load.check_open()
    load.open += 1
    with pytest.raises(Overloaded):
        load.check_open()
    assert load.usage(1).shedding


def test_what_is_shed_is_told_for_a_moment_only(monkeypatch: pytest.MonkeyPatch) -> None:
    load = made(1)
    load.inflight = 1
    load.refusal()
    monkeypatch.setattr(load_module, "SHEDDING_S", 0.0)
    assert not load.usage(1).shedding


def test_failures_are_forgotten_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a node that is closed for failing, and so gets few requests, would stay closed."""
    found = Load(1, 64, cast(Any, None), cast(Any, None))
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(
        load_module,
        "time",
        SimpleNamespace(monotonic=lambda: clock.now, monotonic_ns=lambda: int(clock.now * 1e9)),
    )
    for number in range(RECENT_MIN - 1):
        found.ended(number % 2 == 0)
    assert found.error_rate == 0.0, "too few to say"
    found.ended(True)
    assert found.error_rate == (RECENT_MIN // 2 + 1) / RECENT_MIN
    for _ in range(RECENT):
        found.ended(True)
    assert found.error_rate == 1.0
    clock.now += RECENT_S / 2
    for _ in range(RECENT // 2):
        found.ended(False)
    assert found.error_rate == 0.5
    clock.now += RECENT_S / 2 + 1
    assert found.error_rate == 0.0
    found.fenced = True
    for _ in range(RECENT_MIN):
        found.ended(True)
    assert found.error_rate == 0.0, "a fence is no fault"
