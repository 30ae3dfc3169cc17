"""The topology: nodes, and which of them has jurisdiction over which places.

``parse`` reads ``topology.toml`` completely, or refuses it with every problem named; the result
is immutable and holds the rules already resolved per place, so that assigning is a few
dictionary look-ups. Pure.

Most specific wins: area, subdivision, subdivision through a group, country, country through a
group, default.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from bailiwick.geo import polygons
from bailiwick.geo.places import Places, load_places, nearest
from bailiwick.topology import rules
from bailiwick.topology.groups import MOST_PLACES, place_problem, read_groups, unknown
from bailiwick.topology.nodes import MOST_NODES, NAME, NAME_RULE, read_nodes
from bailiwick.topology.parts import Area, Match, Node, Rule, Thresholds
from bailiwick.topology.reading import Problems, Table, parse_toml

__all__ = ["Area", "Match", "Node", "Rule", "Thresholds", "Topology", "parse"]

MOST_BYTES = 1 << 20
MOST_RULES = 1_000
MOST_AREAS = 1_000
MOST_CHOICES = 100_000  # rules times nodes: what is precomputed
KEY_RETENTION_HOURS = 72
MOST_RETENTION_HOURS = 24 * 366


class Topology(msgspec.Struct, frozen=True):
    """The whole topology of one epoch; see ``rules.build`` for the resolved look-ups.

    Attributes:
        nodes: in order of number.
        overrides: code of a disputed place or feature to the country it means here.
        geo: the atlas digest this epoch was made for, "" when it pins none.
        areas_at: 1-degree cell (row, column) to the areas that touch it.
        area_rules, by_subdivision, by_country, default: matches, most specific first.
        key_retention_hours: how long a key may be repeated after its first use; for so long the
            earlier homes of a place are asked for it.
    """

    epoch: int
    nodes: tuple[Node, ...]
    by_number: Mapping[int, Node]
    groups: Mapping[str, frozenset[str]]
    areas: tuple[Area, ...]
    rules: tuple[Rule, ...]
    overrides: Mapping[str, str]
    thresholds: Thresholds
    geo: str
    areas_at: Mapping[tuple[int, int], tuple[Area, ...]]
    area_rules: Mapping[str, Match]
    by_subdivision: Mapping[str, tuple[Match, ...]]
    by_country: Mapping[str, tuple[Match, ...]]
    default: tuple[Match, ...]
    key_retention_hours: int = KEY_RETENTION_HOURS

    def node_named(self, name: str) -> Node | None:
        return next((node for node in self.nodes if node.name == name), None)

    def geo_problem(self, digest: str) -> str | None:
        """Why an atlas is not the one this epoch pins, with the remedy, or None."""
        if not self.geo or self.geo == digest:
            return None
        return (
            f"topology.toml: geo: this epoch pins {self.geo}, but the atlas here is {digest}; "
            "install the same iptocc version and IP file everywhere, or publish a new epoch"
        )


def parse(
    raw: bytes,
    *,
    file: str = "topology.toml",
    places: Places | None = None,
    epoch: int | None = None,
) -> Topology:
    """Read and check a topology. Raises WorldError with every problem found.

    ``epoch``: its number in a signed chain; the file then need not say it, but must not say
    another.
    """
    known = places or load_places()
    problems = Problems(file)
    top = parse_toml(raw, problems, MOST_BYTES)
    epoch = _epoch(top, epoch)
    geo = top.text("geo", "")
    retention = top.whole("key_retention_hours", 1, MOST_RETENTION_HOURS, KEY_RETENTION_HOURS)
    nodes = read_nodes(top)
    groups = read_groups(top, known)
    areas = _areas(top)
    names = {node.name: node for node in nodes}
    written = _rules(top, names, known, groups, {area.name for area in areas})
    overrides = _overrides(top, known)
    thresholds = _thresholds(top.table("thresholds"))
    top.done()
    if len(written) * len(nodes) > MOST_CHOICES:
        problems.add("rules", f"rules times nodes exceed {MOST_CHOICES}; merge rules")
    problems.raise_if_any()
    index = rules.build(written, groups, areas, known, problems)
    problems.raise_if_any()
    return Topology(
        epoch=epoch,
        nodes=tuple(nodes),
        by_number={node.number: node for node in nodes},
        groups=groups,
        areas=tuple(areas),
        rules=tuple(written),
        overrides=overrides,
        thresholds=thresholds,
        geo=geo,
        areas_at=index.areas_at,
        area_rules=index.area_rules,
        by_subdivision=index.by_subdivision,
        by_country=index.by_country,
        default=index.default,
        key_retention_hours=retention,
    )


def _epoch(top: Table, numbered: int | None) -> int:
    written = top.whole("epoch", 1, 2**53, numbered)
    if numbered is not None and written != numbered:
        top.bad(
            "epoch",
            f"says {written}, but this is epoch {numbered} of the chain; leave the field out",
        )
    return written if numbered is None else numbered


def _areas(top: Table) -> list[Area]:
    areas: dict[str, Area] = {}
    for table in top.tables("areas", most=MOST_AREAS):
        name = table.text("name")
        if not NAME.fullmatch(name):
            table.bad("name", NAME_RULE)
        if name in areas:
            table.bad("name", f"'{name}' is used twice; make it unique")
        ring = _ring(table.raw("polygon"))
        table.done()
        if not ring:
            table.bad("polygon", "must be a list of [lon, lat] points")
            continue
        problem = polygons.problem_with(ring)
        if problem:
            table.bad("polygon", problem)
        areas[name] = Area(name, ring)
    return list(areas.values())


def _ring(value: Any) -> polygons.Ring:
    """Points as floats, without a repeated closing point; () when it is no list of points."""
    if not isinstance(value, list):
        return ()
    points = []
    for point in value:
        if not (isinstance(point, list) and len(point) == 2):
            return ()
        if not all(isinstance(v, int | float) and not isinstance(v, bool) for v in point):
            return ()
        points.append((float(point[0]), float(point[1])))
    if len(points) > 1 and points[0] == points[-1]:
        points.pop()
    return tuple(points)


def _rules(
    top: Table,
    names: Mapping[str, Node],
    known: Places,
    groups: Mapping[str, frozenset[str]],
    areas: set[str],
) -> list[Rule]:
    written = []
    every = tuple(sorted(names.values(), key=lambda node: node.number))
    for number, table in enumerate(top.tables("rules", most=MOST_RULES, empty=False)):
        places = table.texts("places", most=MOST_PLACES)
        for place in places:
            kind, _, name = place.partition(":")
            if kind == "group" and name:
                problem = None if name in groups else unknown("group", name, groups)
            elif kind == "area" and name:
                problem = None if name in areas else unknown("area", name, areas)
            else:
                problem = None if place == "default" else place_problem(place, known)
            if problem:
                table.bad("places", problem)
        listed = table.texts("nodes", most=MOST_NODES)
        nodes = []
        for name in listed:
            if name not in names:
                table.bad("nodes", unknown("node", name, names))
            elif names[name] in nodes:
                table.bad("nodes", f"'{name}' is listed twice; list it once")
            else:
                nodes.append(names[name])
        residency = table.choice("residency", ("strict", "prefer", "free"))
        evidence = table.choice("evidence", ("any", "explicit"), "any")
        table.done()
        rest = [node for node in every if node not in nodes] if residency == "free" else []
        order = (*nodes, *rest)
        written.append(
            msgspec.convert(
                {
                    "number": number,
                    "places": places,
                    "nodes": tuple(nodes),
                    "order": order,
                    "residency": residency,
                    "evidence": evidence,
                    "takers": tuple(node.number for node in order if node.state == "active"),
                },
                Rule,
            )
        )
    return written


def _overrides(top: Table, known: Places) -> dict[str, str]:
    table = top.table("overrides")
    overrides: dict[str, str] = {}
    for code in table.value:
        country = table.text(code, most=40)
        if code not in known.countries and code not in known.features:
            guess = nearest(code, [*known.features, *known.countries])
            hint = f"; did you mean '{guess}'?" if guess else ""
            features = ", ".join(known.features)
            table.bad(code, f"is neither a country code nor a feature ({features}){hint}")
        if country not in known.countries:
            table.bad(code, known.explain_country(country))
        overrides[code] = country
    for code, country in overrides.items():
        if country in overrides:
            table.bad(code, f"leads to '{country}', which is overridden too; give the final one")
    return overrides


def _thresholds(table: Table) -> Thresholds:
    base = Thresholds()
    found = Thresholds(
        inflight_max_ratio=table.ratio("inflight_max_ratio", base.inflight_max_ratio),
        error_rate_max=table.ratio("error_rate_max", base.error_rate_max),
        database_lag_max_ms=table.whole(
            "database_lag_max_ms", 1, 600_000, base.database_lag_max_ms
        ),
        stale_after_ms=table.whole("stale_after_ms", 100, 600_000, base.stale_after_ms),
        report_every_ms=table.whole("report_every_ms", 50, 60_000, base.report_every_ms),
        close_after_reports=table.whole("close_after_reports", 1, 1_000, base.close_after_reports),
        close_after_ms=table.whole("close_after_ms", 0, 600_000, base.close_after_ms),
        reopen_ratio=table.ratio("reopen_ratio", base.reopen_ratio),
        open_after_ms=table.whole("open_after_ms", 0, 600_000, base.open_after_ms),
    )
    table.done()
    if found.stale_after_ms <= found.report_every_ms:
        table.bad("stale_after_ms", "must be longer than report_every_ms, else all looks stale")
    return found
