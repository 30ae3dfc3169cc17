"""Figures from the client's history: pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise

import msgspec

from bailiwick_lab.drill.load import Told

PHASES = ("before", "during", "after")


class Window(msgspec.Struct, frozen=True):
    """The moments of one run, on the monotonic clock in seconds.

    ``fault``: the injection began; ``proven``: the probe had shown it; ``heal``: the healing
    began; ``whole``: everything answered again.
    """

    start: float
    fault: float
    proven: float
    heal: float
    whole: float
    end: float


class Phase(msgspec.Struct, frozen=True):
    """Payments that fell due in one phase. ``good``: share whose first answer was the answer
    of a healthy system, None without payments; latencies in ms until the definite answer."""

    requests: int
    good: float | None
    p50_ms: float | None
    p99_ms: float | None


class NodeFigures(msgspec.Struct, frozen=True):
    """One node's places. ``longest_gap_s``: longest time without a success from the fault on;
    ``recover_s``: from the beginning of the healing to the first success."""

    before: Phase
    during: Phase
    after: Phase
    longest_gap_s: float | None
    recover_s: float | None


class Figures(msgspec.Struct, frozen=True):
    """One run. ``hard``: payments that needed more than one request."""

    requests: int
    ok: int
    fail: int
    in_doubt: int
    hard: int
    p50_ms: float | None
    p99_ms: float | None
    nodes: dict[str, NodeFigures]


def figures(history: Sequence[Told], window: Window, nodes: Iterable[str]) -> Figures:
    """What the client saw."""
    taken = [1000 * told.done_s for told in history if told.status != "in_doubt"]
    return Figures(
        requests=len(history),
        ok=_count(history, "ok"),
        fail=_count(history, "fail"),
        in_doubt=_count(history, "in_doubt"),
        hard=sum(told.tries > 1 for told in history),
        p50_ms=quantile(taken, 0.50),
        p99_ms=quantile(taken, 0.99),
        nodes={node: _node([t for t in history if t.node == node], window) for node in nodes},
    )


def _count(history: Sequence[Told], status: str) -> int:
    return sum(told.status == status for told in history)


def _node(history: Sequence[Told], window: Window) -> NodeFigures:
    parts = {
        "before": (window.start, window.fault),
        # Between injecting and proving the fault, nobody knows which it was.
        "during": (window.proven, window.heal),
        "after": (window.whole, window.end),
    }
    phases = {
        name: _phase([told for told in history if begin <= told.due < end])
        for name, (begin, end) in parts.items()
    }
    done = sorted(told.due + told.done_s for told in history if told.status == "ok")
    return NodeFigures(
        **phases,
        longest_gap_s=_longest_gap(done, window),
        recover_s=next((at - window.heal for at in done if at >= window.heal), None),
    )


def _phase(history: Sequence[Told]) -> Phase:
    taken = [1000 * told.done_s for told in history if told.status != "in_doubt"]
    good = sum(told.good for told in history) / len(history) if history else None
    return Phase(len(history), good, quantile(taken, 0.50), quantile(taken, 0.99))


def _longest_gap(done: Sequence[float], window: Window) -> float | None:
    """None: nothing succeeded any more."""
    inside = [at for at in done if at >= window.fault]
    if not inside:
        return None
    moments = [window.fault, *inside, max(inside[-1], window.end)]
    return max(later - earlier for earlier, later in pairwise(moments))


def quantile(values: Iterable[float], share: float) -> float | None:
    """The smallest value that at least this share of them does not exceed."""
    ordered = sorted(values)
    if not ordered:
        return None
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
