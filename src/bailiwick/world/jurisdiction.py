"""What a topology is made of: nodes, areas, rules, thresholds. Immutable data."""

from typing import Literal

import msgspec

from bailiwick.world import polygons

Residency = Literal["strict", "prefer", "free"]
EvidencePolicy = Literal["any", "explicit"]


class Node(msgspec.Struct, frozen=True):
    """A regional node. ``number`` is permanent: ids carry it."""

    number: int
    name: str
    url: str
    title: str


class Thresholds(msgspec.Struct, frozen=True):
    """When a node's usage state stops meeting the first condition (ratios 0..1, times in ms)."""

    inflight_max_ratio: float = 0.9
    error_rate_max: float = 0.5
    database_lag_max_ms: int = 2000
    stale_after_ms: int = 3000
    report_every_ms: int = 1000


class Area(msgspec.Struct, frozen=True):
    """A small polygon of (lon, lat) points, the closing point not repeated."""

    name: str
    polygon: polygons.Ring


class Rule(msgspec.Struct, frozen=True):
    """One rule as written. ``nodes`` are the listed ones in order, ``order`` all that may take
    a payment: for ``free`` every other node follows in order of number."""

    number: int
    places: tuple[str, ...]
    nodes: tuple[Node, ...]
    order: tuple[Node, ...]
    residency: Residency
    evidence: EvidencePolicy


class Match(msgspec.Struct, frozen=True):
    """A rule with what matched it: "IN", "US-CA", "group:eea", "area:fair" or "default"."""

    label: str
    rule: Rule
