"""How a gateway does in real traffic, as a whole and by segment: which types of payment methods,
of payers of which country. Pure but for the clock that is handed in.

Where a part of the calls fails (a *grey failure*), nothing has to be refused: the gateway, or the
segment alone where the others do well, is *demoted*. It is asked last, so that another takes the
payment if there is one; a trickle tries it, and it comes back as it does after a pause of the
breaker. Tokens do not tell where a card was issued: the payer's country stands for it.
"""

from collections.abc import Callable, Mapping
from typing import Any

from bailiwick.routing.breaker import WINDOW_MIN, Pauses
from bailiwick.routing.health.segments import ALL
from bailiwick.routing.health.windows import Counts, Seen, Window, at_least

WINDOW_S = 10
USUAL_S = 600
USUAL_MIN = 50
"""Calls by which it is known what is usual."""
FAILING = 0.5
GREY = 0.1
"""A share of failures that is surely reached, and surely more than usual."""
FIRST_MIN = 30
"""Calls in the window by which that is believed while it is not known what is usual."""
REFUSING = 0.3
"""More declines than usual that are not said to be the payer's: a provider that fails may call it
so."""
SLOW = 0.25
"""Of calls that take ``SLOW_TIMES`` the usual time, and a second more."""
SLOW_TIMES = 4
OVERDUE_S = 5.0
REST_MIN = 5
GUILTY_MIN = 3
SEGMENTS_MAX = 256
_MS_MAX = 10_000
_NOTHING: Mapping[str, str] = {}


class _Part:
    """The gateway as a whole, or one segment."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.long = Window(clock, USUAL_S / 30, 30)
        self.short = Window(clock, 1.0, WINDOW_S, self.long)
        self.pauses = Pauses(clock)
        self.inflight = 0

    def usual(self) -> Counts:
        """What was before the last seconds, while it did well."""
        self.short.counts()
        return self.long.counts()

    def known(self) -> bool:
        """Whether there was any call lately."""
        return bool(self.usual().calls or self.short.counts().calls)

    def slow(self, ms: int) -> bool:
        """Whether a call has taken far longer than usual."""
        return ms > self.slow_ms()

    def slow_ms(self) -> float:
        """Longer than this is far longer than usual."""
        usual = self.usual()
        if usual.calls < USUAL_MIN:
            return OVERDUE_S * 1000
        return SLOW_TIMES * usual.ms / usual.calls + 1000

    def add(self, seen: Seen, ms: int) -> None:
        self.short.add(seen, ms, self.slow(ms))

    def why(self, overdue: int) -> str | None:
        """Why it is to be demoted; None while it does well."""
        return why_grey(self.short.counts(), self.usual(), overdue)

    def demote(self, why: str) -> None:
        self.pauses.shut(why)
        self.short.clear()


def why_grey(now: Counts, usual: Counts, overdue: int = 0) -> str | None:
    """Why what is counted now is not as it should be, in words; None: it is.

    Args:
        overdue: calls under way for so long that they count as failed.
    """
    calls, failed = now.calls + overdue, now.failed + overdue
    if calls < WINDOW_MIN:
        return None
    share = failed / calls
    before = usual.failed / usual.calls if usual.calls else 0.0
    if share > FAILING:
        return f"{share:.0%} of its calls in {WINDOW_S} s failed"
    known = usual.calls >= USUAL_MIN or calls >= FIRST_MIN
    if known and at_least(failed, calls) > max(GREY, 2 * before):
        return f"{share:.0%} of its calls in {WINDOW_S} s failed, usually {before:.0%}"
    if usual.calls < USUAL_MIN:
        return None
    if at_least(now.slow, now.calls) > max(SLOW, 2 * usual.slow / usual.calls):
        return f"{now.slow / now.calls:.0%} of its calls in {WINDOW_S} s were far slower than usual"
    before = usual.vague / usual.calls
    if at_least(now.vague, now.calls) > before + REFUSING:
        return (
            f"it declined {now.vague / now.calls:.0%} of its calls in {WINDOW_S} s for no reason "
            f"of the payer's, usually {before:.0%}"
        )
    return None


class Health:
    """The windows of one gateway.

    Attributes:
        troubled: segments that are demoted or on trial.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._whole = _Part(clock)
        self._segments: dict[str, _Part] = {}
        self.troubled: set[str] = set()
        self._calls: dict[int, tuple[float, str]] = {}  # the oldest first
        self._count = 0

    def began(self, segment: str) -> int:
        """A call is under way; the number is for ``ended``."""
        self._count += 1
        self._calls[self._count] = (self._clock(), segment)
        for part in self._parts(segment):
            part.inflight += 1
        return self._count

    def ended(self, call: int) -> None:
        """It is under way no more."""
        _, segment = self._calls.pop(call)
        for part in self._parts(segment):
            part.inflight = max(0, part.inflight - 1)

    def saw(self, seen: Seen, ms: int, segment: str) -> bool:
        """How a call ended, and how long it took; whether it says something of the gateway as a
        whole (not where its segment fails alone)."""
        ms = min(ms, _MS_MAX)
        whole, part = self._whole, self._part(segment)
        parts = [part] if part is not None and segment in self.troubled else [whole]
        if part is not None and parts[0] is whole:
            parts.append(part)
        for each in parts:
            state = each.pauses.state
            if state == "open":
                each.add(seen, ms)
            elif state == "trial" and each.pauses.tried(seen is not Seen.FAILED):
                self._settled()
        self._judge(segment)
        return segment not in self.troubled or ALL in self.troubled

    def look(self) -> None:
        """Judge by what is overdue: a provider that hangs has no outcomes. To be called now and
        then."""
        whole, segments = self._overdue()
        if whole:
            for segment in segments or {ALL: whole}:
                self._judge(segment)
        self._settled()

    def demoted(self) -> Mapping[str, str]:
        """Which segments are to be asked last now, and why; ``ALL``: all."""
        if not self.troubled:
            return _NOTHING
        found = {}
        for name in self.troubled:
            part = self._whole if name == ALL else self._segments[name]
            why = part.pauses.why(part.inflight)
            if why is not None:
                found[name] = why
        return found

    def lately(self) -> dict[str, int]:
        """Calls of the last seconds, by how they ended."""
        now = self._whole.short.counts()
        return {
            "good": now.good, "refused": now.refused, "vague": now.vague, "failed": now.failed,
            "slow": now.slow,
        }  # fmt: skip

    def shown(self) -> list[dict[str, Any]]:
        """For operators: the last seconds, as a whole and by segment."""
        parts = {ALL: self._whole, **dict(sorted(self._segments.items()))}
        demoted = self.demoted()
        return [
            _shown(name, part, demoted.get(name))
            for name, part in parts.items()
            if name == ALL or part.known() or name in self.troubled
        ]

    # --- parts

    def _part(self, segment: str) -> _Part | None:
        if not segment:
            return None
        found = self._segments.get(segment)
        if found is None:
            if len(self._segments) >= SEGMENTS_MAX:
                self._forget()
            found = self._segments[segment] = _Part(self._clock)
        return found

    def _parts(self, segment: str) -> list[_Part]:
        part = self._part(segment)
        return [self._whole] if part is None else [self._whole, part]

    def _forget(self) -> None:
        """Let go of segments of which nothing is known but that they were; else of the first."""
        idle = [
            name
            for name, part in self._segments.items()
            if name not in self.troubled and not part.inflight
        ]
        quiet = [name for name in idle if not self._segments[name].known()]
        for name in quiet or idle[:1]:
            del self._segments[name]

    def _settled(self) -> None:
        """Who is through its trials is asked as before."""
        for name in [*self.troubled]:
            part = self._whole if name == ALL else self._segments[name]
            if part.pauses.state == "open":
                self.troubled.discard(name)

    # --- judging

    def _overdue(self) -> tuple[int, dict[str, int]]:
        """Calls under way for too long: all, and by segment."""
        if not self._calls:
            return 0, {}
        oldest = self._clock() - max(OVERDUE_S, self._whole.slow_ms() / 1000)
        whole, segments = 0, dict[str, int]()
        for began, segment in self._calls.values():
            if began > oldest:
                break
            whole += 1
            if segment:
                segments[segment] = segments.get(segment, 0) + 1
        return whole, segments

    def _judge(self, segment: str) -> None:
        overdue, by_segment = self._overdue()
        whole, part = self._whole, self._segments.get(segment)
        if whole.pauses.state == "open":
            why = whole.why(overdue)
            if why is not None:
                self._demote(why, overdue, by_segment)
                return
        elif whole.pauses.state == "trial" and whole.inflight and overdue >= whole.inflight:
            whole.pauses.tried(False)
        if part is not None and part.pauses.state == "open" and ALL not in self.troubled:
            why = part.why(by_segment.get(segment, 0))
            if why is not None:
                self._demote_segment(segment, part, why)

    def _demote(self, why: str, overdue: int, by_segment: dict[str, int]) -> None:
        """The whole, or those segments that fail alone."""
        rest, left, guilty = self._whole.short.counts(), overdue, []
        for name, part in self._segments.items():
            late = by_segment.get(name, 0)
            if part.pauses.state == "open" and _guilty(part.short.counts(), late):
                guilty.append((name, part))
                rest, left = rest.less(part.short.counts()), left - late
        alone = rest.calls >= REST_MIN and why_grey(_padded(rest), Counts(), left) is None
        if guilty and alone:
            for name, part in guilty:
                self._demote_segment(name, part, why)
        else:
            self._demote_all(why)

    def _demote_all(self, why: str) -> None:
        self._whole.demote(why)
        self.troubled.add(ALL)
        for part in self._segments.values():
            part.short.clear()

    def _demote_segment(self, name: str, part: _Part, why: str) -> None:
        self._whole.short.forget(part.short)
        part.demote(why)
        self.troubled.add(name)
        well = any(
            each not in self.troubled and other.short.counts().calls >= GUILTY_MIN
            for each, other in self._segments.items()
        )
        if not well and len(self.troubled) > 1:
            self._demote_all(why)


def _guilty(counts: Counts, overdue: int) -> bool:
    """Whether most of a segment's calls fail, however few they are."""
    calls, failed = counts.calls + overdue, counts.failed + overdue
    return calls >= GUILTY_MIN and (failed > FAILING * calls or at_least(failed, calls) > GREY)


def _padded(counts: Counts) -> Counts:
    """Counts that are few, as many as are judged, in their proportions."""
    return counts.times(-(-FIRST_MIN // max(1, counts.calls)))


def _shown(name: str, part: _Part, why: str | None) -> dict[str, Any]:
    now = part.short.counts()
    method, _, country = name.partition(" ")
    return {
        "method": method or None,
        "country": country or None,
        "state": part.pauses.state,
        "demoted": why,
        "calls": now.calls,
        "good": now.good,
        "refused": now.refused,
        "vague": now.vague,
        "failed": now.failed,
        "slow": now.slow,
        "mean_ms": round(now.ms / now.calls) if now.calls else None,
    }
