"""What a topology is made of: nodes, areas, rules, thresholds. Immutable data."""

from typing import Literal

import msgspec

from bailiwick.geo import polygons

Residency = Literal["strict", "prefer", "free"]
EvidencePolicy = Literal["any", "explicit"]
State = Literal["active", "draining", "evacuated", "joining"]


class Node(msgspec.Struct, frozen=True):
    """A regional node.

    Attributes:
        number: permanent: ids carry it.
        state: only an ``active`` node takes new payments. A ``draining`` one finishes those it
            has, the database of an ``evacuated`` one cannot be asked any more, and a ``joining``
            one has none yet.
    """

    number: int
    name: str
    url: str
    title: str
    state: State = "active"


class Thresholds(msgspec.Struct, frozen=True):
    """When a node's usage state stops meeting the first condition (ratios 0..1, times in ms).

    Attributes:
        close_after_reports, close_after_ms: it closes when a condition was bad in so many reports
            in a row, or for so long, whichever comes first.
        reopen_ratio: it opens only below this share of the thresholds,
        open_after_ms: when it has been so for that long.
    """

    inflight_max_ratio: float = 0.9
    error_rate_max: float = 0.5
    database_lag_max_ms: int = 2000
    stale_after_ms: int = 3000
    report_every_ms: int = 1000
    close_after_reports: int = 3
    close_after_ms: int = 1000
    reopen_ratio: float = 0.8
    open_after_ms: int = 2000


class Area(msgspec.Struct, frozen=True):
    """A small polygon of (lon, lat) points, the closing point not repeated."""

    name: str
    polygon: polygons.Ring


class Rule(msgspec.Struct, frozen=True):
    """One rule as written.

    Attributes:
        nodes: the listed ones in order.
        order: all that have jurisdiction: for ``free`` every other node follows in order of number.
        takers: numbers of those in ``order`` that are active, the home first.
    """

    number: int
    places: tuple[str, ...]
    nodes: tuple[Node, ...]
    order: tuple[Node, ...]
    residency: Residency
    evidence: EvidencePolicy
    takers: tuple[int, ...] = ()


class Match(msgspec.Struct, frozen=True):
    """A rule with what matched it: "IN", "US-CA", "group:eea", "area:fair" or "default"."""

    label: str
    rule: Rule
