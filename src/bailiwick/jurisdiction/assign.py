"""From location to home: which node has jurisdiction, and why not each of the others. Pure.

The same function serves payments, ``explain`` and the node's own check of its jurisdiction.
"""

from collections.abc import Mapping
from math import floor
from typing import Any, Literal

import msgspec

from bailiwick.base.errors import ApiError
from bailiwick.geo import polygons
from bailiwick.jurisdiction.locate import Location
from bailiwick.topology.topology import Match, Node, Topology

Verdict = Literal["chosen", "refused", "not_open", "not_active", "not_reached", "not_allowed"]
OPEN = "open"
_NONE: Mapping[int, str] = {}


class Considered(msgspec.Struct, frozen=True):
    """One node and what was decided about it, with the reason in words."""

    node: int
    name: str
    verdict: Verdict
    reason: str


class EarlierHome(msgspec.Struct, frozen=True):
    """A node that had jurisdiction in an earlier epoch, and what it said of the request's key."""

    node: int
    name: str
    epoch: int
    answer: str


class Assignment(msgspec.Struct, frozen=True):
    """Which node takes a payment.

    Attributes:
        node: number of the chosen node; None when every allowed one was passed over.
        home: number of the first active node of the rule (the first at all if none is), whatever
            its usage state.
        rule: what matched: "IN", "US-CA", "group:eea", "area:fair" or "default".
        considered: every node of the topology, the allowed ones first and in order.
        passed_rules: more specific rules that do not trust this evidence, in words.
        earlier_homes: who had to be asked for the key first; see ``earlier``.
    """

    epoch: int
    node: int | None
    home: int
    rule: str
    residency: str
    considered: tuple[Considered, ...]
    passed_rules: tuple[str, ...] = ()
    earlier_homes: tuple[EarlierHome, ...] = ()

    @property
    def goes_on(self) -> bool:
        """Whether another node may take it if the chosen one refuses. If not, a refusal for ever
        would only use up the key."""
        return any(each.verdict == "not_reached" for each in self.considered)

    @property
    def others(self) -> bool:
        """Whether another node was asked before the chosen one, or may still be."""
        return self.goes_on or self.node != self.home


def to_object(assignment: Assignment) -> dict[str, Any]:
    """An assignment as clients see it; earlier homes only where there are any."""
    made: dict[str, Any] = msgspec.to_builtins(assignment)
    if not assignment.earlier_homes:
        del made["earlier_homes"]
    return made


def takers(location: Location, topology: Topology) -> tuple[int, ...]:
    """Numbers of the active nodes with jurisdiction over a place, the home first.

    Raises ApiError (400) when no rule trusts the evidence.
    """
    return _match(location, topology)[0].rule.takers


def assign(
    location: Location,
    topology: Topology,
    *,
    refused: Mapping[int, str] = _NONE,
    usage: Mapping[int, str] | None = None,
) -> Assignment:
    """Assign a location to a node.

    Args:
        refused: nodes that refused this very key (committed there), with their reason.
        usage: each node's usage verdict, "open" or why not; given only while nothing can move
            yet. A node it does not know is not open.

    The answer depends on the arguments alone. Raises ApiError (400) when no rule trusts the
    evidence, which a checked topology leaves no room for.
    """
    match, passed = _match(location, topology)
    rule = match.rule
    chosen: int | None = None
    considered = []
    for place, node in enumerate(rule.order, 1):
        if node.state != "active":
            verdict: Verdict = "not_active"
            reason = f"{node.state} in epoch {topology.epoch}"
        elif node.number in refused:
            verdict = "refused"
            reason = f"it refused this request: {refused[node.number]}"
        elif chosen is not None:
            verdict, reason = "not_reached", f"number {place} in the order of this rule"
        elif usage is not None and usage.get(node.number) != OPEN:
            verdict = "not_open"
            reason = f"its usage state: {usage.get(node.number, 'not known')}"
        else:
            verdict = "chosen"
            chosen = node.number
            reason = f"number {place} in the order of this rule"
            if chosen == rule.takers[0]:
                reason = "the home"
        considered.append(Considered(node.number, node.name, verdict, reason))
    if len(rule.order) < len(topology.nodes):
        considered += _not_allowed(match, topology.nodes)
    return Assignment(
        epoch=topology.epoch,
        node=chosen,
        home=rule.takers[0] if rule.takers else rule.order[0].number,
        rule=match.label,
        residency=rule.residency,
        considered=tuple(considered),
        passed_rules=passed,
    )


def _not_allowed(match: Match, nodes: tuple[Node, ...]) -> list[Considered]:
    rule = match.rule
    listed = {node.number for node in rule.order}
    names = ", ".join(node.name for node in rule.nodes)
    reason = f"residency '{rule.residency}' of {match.label} allows only: {names}"
    return [
        Considered(node.number, node.name, "not_allowed", reason)
        for node in nodes
        if node.number not in listed
    ]


def _match(location: Location, topology: Topology) -> tuple[Match, tuple[str, ...]]:
    """The most specific rule that trusts the location's evidence, and those passed over."""
    passed: tuple[str, ...] = ()
    if location.coordinates is not None and topology.areas_at:
        lat, lon = location.coordinates
        for area in topology.areas_at.get((floor(lat), floor(lon)), ()):
            if polygons.contains(area.polygon, lon, lat):
                return topology.area_rules[area.name], passed
    if location.subdivision is not None:
        for match in topology.by_subdivision.get(location.subdivision, ()):
            if match.rule.evidence == "any" or location.source == "explicit":
                return match, passed
            passed = (*passed, _distrust(match, location))
    for match in topology.by_country.get(location.country, topology.default):
        if match.rule.evidence == "any" or location.source == "explicit":
            return match, passed
        passed = (*passed, _distrust(match, location))
    raise ApiError.invalid(
        f"No rule assigns {location.country} on the evidence of {location.source}: send "
        "location[country].",
        param="location[country]",
        code="location_not_trusted",
    )


def _distrust(match: Match, location: Location) -> str:
    return (
        f"{match.label} trusts only explicit evidence; this location comes from {location.source}"
    )
