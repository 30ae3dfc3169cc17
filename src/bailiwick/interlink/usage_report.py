"""The usage state of a node, as one access process knows it. Pure.

It rides on every answer of a node (``Bailiwick-Usage``) and is asked for each second. It is a
belief of this process only: it decides where a payment goes only while nothing can move yet,
never for a request that may move money.

A report is judged by the topology's thresholds; the state follows with hysteresis. What a node or
the network says outright (draining, fenced, unreachable, stale) closes it at once. What is measured
(load, failures, the database's lag) closes it when it stays bad, and opens it when it has stayed
well below the threshold for a while; the load is smoothed before it is judged. So a figure that
is noisy around its threshold closes the node once and does not make it flap.
"""

from math import exp
from typing import Protocol

import msgspec

from bailiwick.base.history import History

OPEN = "open"
CLOSED = "closed"
UNKNOWN = "unknown"
SPACING_MS = 100
"""Reports that follow each other closer than this count as one: under load they come by the
thousand, and say the same."""

SMOOTH_MS = 250
"""Time constant of the smoothed load: a mean over about so long."""

_MEASURED = frozenset({"overloaded", "failing", "database"})
_TOLD = frozenset({"draining", "fenced", UNKNOWN})


class Thresholds(Protocol):
    """The first condition, as the topology sets it."""

    @property
    def inflight_max_ratio(self) -> float: ...
    @property
    def error_rate_max(self) -> float: ...
    @property
    def database_lag_max_ms(self) -> int: ...
    @property
    def stale_after_ms(self) -> int: ...
    @property
    def close_after_reports(self) -> int: ...
    @property
    def close_after_ms(self) -> int: ...
    @property
    def reopen_ratio(self) -> float: ...
    @property
    def open_after_ms(self) -> int: ...


class Usage(msgspec.Struct, frozen=True):
    """What a node reports of itself.

    Attributes:
        inflight, capacity: requests counted, and how many it takes at once: of the node's bounds
            the one that is nearer.
        error_rate: share (0 to 1) of its recent requests that failed by its own fault.
        database_lag_ms: how long its latest commit batch took to come through.
        draining: it takes no new payments.
        fenced: it writes nothing.
        queue_ms: how long its recent new payments took, without their providers' time.
        shedding: it has just refused a new payment because of its load.
        room: how many new payments it would begin now.
        under_way: how many requests it has begun, whatever they wait for.
    """

    node: int
    inflight: int = 0
    capacity: int = 1
    error_rate: float = 0.0
    database_lag_ms: int = 0
    draining: bool = False
    epoch: int = 0
    fenced: bool = False
    queue_ms: int = 0
    shedding: bool = False
    room: int = 0
    under_way: int = 0


class Report(msgspec.Struct, frozen=True):
    """The last report of a node and when (monotonic milliseconds) it came.

    Attributes:
        failure: why the node could not be asked since then, else None.
    """

    usage: Usage | None
    at_ms: int
    failure: str | None = None


class Finding(msgspec.Struct, frozen=True):
    """What one report says: a word, and the words for people ("open" for an open one)."""

    word: str
    why: str


_FINE = Finding(OPEN, OPEN)


def judge(
    report: Report | None,
    thresholds: Thresholds,
    now_ms: int,
    *,
    load: float | None = None,
    ease: float = 1.0,
) -> Finding:
    """What is to be said of a node.

    Args:
        load: its smoothed load as a share of its capacity; None: by this report alone.
        ease: the share of the measured thresholds that it must keep.
    """
    if report is None or report.usage is None:
        because = f": {report.failure}" if report is not None and report.failure else ""
        return Finding(UNKNOWN, f"stale: no report yet{because}")
    if report.failure is not None:
        return Finding("unreachable", f"unreachable: {report.failure}")
    age_ms = now_ms - report.at_ms
    if age_ms > thresholds.stale_after_ms:
        return Finding("stale", f"stale: last report {age_ms / 1000:.1f} s ago")
    usage = report.usage
    if usage.fenced:
        return Finding("fenced", "fenced")
    if usage.draining:
        return Finding("draining", "draining")
    load = load_of(usage) if load is None else load
    if usage.shedding or load >= thresholds.inflight_max_ratio * ease:
        counted = f"{load:.0%} of its capacity, {usage.inflight} of {usage.capacity} requests now"
        refusing = "; it refuses new ones" if usage.shedding else ""
        return Finding("overloaded", f"overloaded: {counted}{refusing}")
    if usage.error_rate > thresholds.error_rate_max * ease:
        return Finding("failing", f"failing: {usage.error_rate:.0%} of recent requests")
    if usage.database_lag_ms > thresholds.database_lag_max_ms * ease:
        return Finding("database", f"database lag {usage.database_lag_ms} ms")
    return _FINE


def load_of(usage: Usage) -> float:
    """Requests counted as a share of how many the node takes."""
    return usage.inflight / usage.capacity if usage.capacity > 0 else 1.0


class UsageTracker:
    """The usage state of one node. Times: monotonic milliseconds, and the wall clock for people.

    Attributes:
        verdict: ``open``, or why the node's usage state does not meet the first condition.
        history: how it came to be so.
    """

    def __init__(self, wall_ms: int) -> None:
        self.verdict = "stale: no report yet"
        self.history = History(UNKNOWN, wall_ms)
        self._cause = UNKNOWN
        self._load = 0.0
        self._load_ms: int | None = None
        self._bad_since = 0
        self._bad_reports = 0
        self._counted_ms = 0
        self._calm_since: int | None = None

    def see(
        self,
        report: Report | None,
        thresholds: Thresholds,
        now_ms: int,
        wall_ms: int,
        *,
        fresh: bool = False,
    ) -> str:
        """The verdict now; ``fresh``: the report has just come."""
        if fresh and report is not None and report.usage is not None:
            self._smooth(load_of(report.usage), now_ms)
        found = judge(report, thresholds, now_ms, load=self._load)
        if self.verdict == OPEN:
            if self._closes(found, thresholds, now_ms, fresh):
                self._cause, self._calm_since = found.word, None
                self._turn(CLOSED, found.why, report, wall_ms)
            return self.verdict
        waits = self._waits(found, report, thresholds, now_ms)
        if waits is None:
            self._bad_reports = 0
            self._turn(OPEN, OPEN, report, wall_ms)
        elif waits != self.verdict:
            self._turn(UNKNOWN if self._cause == UNKNOWN else CLOSED, waits, report, wall_ms)
        return self.verdict

    def _smooth(self, load: float, now_ms: int) -> None:
        passed_ms = SMOOTH_MS * 10 if self._load_ms is None else now_ms - self._load_ms
        self._load += (load - self._load) * (1 - exp(-passed_ms / SMOOTH_MS))
        self._load_ms = now_ms

    def _turn(self, state: str, verdict: str, report: Report | None, wall_ms: int) -> None:
        self.verdict = verdict
        figures = None if report is None else report.usage
        self.history.note(state, verdict, wall_ms, figures)

    def _closes(self, found: Finding, thresholds: Thresholds, now_ms: int, fresh: bool) -> bool:
        if found.word == OPEN:
            self._bad_reports = 0
            return False
        if found.word not in _MEASURED:
            return True
        if not self._bad_reports:
            self._bad_since = now_ms
            self._bad_reports, self._counted_ms = 1, now_ms
        elif fresh and now_ms - self._counted_ms >= SPACING_MS:
            self._bad_reports += 1
            self._counted_ms = now_ms
        return (
            self._bad_reports >= thresholds.close_after_reports
            or now_ms - self._bad_since >= thresholds.close_after_ms
        )

    def _waits(
        self, found: Finding, report: Report | None, thresholds: Thresholds, now_ms: int
    ) -> str | None:
        """Why a closed node stays so, or None: it opens."""
        if found.word == OPEN and self._cause not in _TOLD:
            ease = thresholds.reopen_ratio
            found = judge(report, thresholds, now_ms, load=self._load, ease=ease)
        if found.word != OPEN:
            if found.word not in _MEASURED or self._cause in _TOLD:
                self._cause = found.word
            self._calm_since = None
            return found.why
        if self._cause in _TOLD:
            return None
        if self._calm_since is None:
            self._calm_since = now_ms
        calm_ms = now_ms - self._calm_since
        if calm_ms >= thresholds.open_after_ms:
            return None
        return f"was {self._cause}: opens after {thresholds.open_after_ms / 1000:g} s of calm"
