"""The topology: nodes, and which of them has jurisdiction over which places.

``parse`` reads ``topology.toml`` completely, or refuses it with every problem named; the result
is immutable and holds the rules already resolved per place, so that assigning is a few
dictionary look-ups. Pure.

Most specific wins: area, subdivision, subdivision through a group, country, country through a
group, default.
"""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec

from bailiwick.world import polygons, rules
from bailiwick.world.jurisdiction import Area, Match, Node, Rule, Thresholds
from bailiwick.world.places import Places, load_places, nearest
from bailiwick.world.reading import Problems, Table, parse_toml

__all__ = ["Area", "Match", "Node", "Rule", "Thresholds", "Topology", "parse"]

MOST_BYTES = 1 << 20
MOST_NODES = 256
MOST_RULES = 1_000
MOST_AREAS = 1_000
MOST_GROUPS = 500
MOST_PLACES = 10_000
MOST_CHOICES = 100_000  # rules times nodes: what is precomputed

_NAME = re.compile(r"[a-z][a-z0-9-]{0,31}")
_NAME_RULE = "must be 1 to 32 small letters, digits or '-', starting with a letter"


class Topology(msgspec.Struct, frozen=True):
    """The whole topology of one epoch; see ``rules.build`` for the resolved look-ups.

    Attributes:
        nodes: in order of number.
        overrides: code of a disputed place or feature to the country it means here.
        geo: the atlas digest this epoch was made for, "" when it pins none.
        areas_at: 1-degree cell (row, column) to the areas that touch it.
        area_rules, by_subdivision, by_country, default: matches, most specific first.
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


def parse(raw: bytes, *, file: str = "topology.toml", places: Places | None = None) -> Topology:
    """Read and check a topology. Raises WorldError with every problem found."""
    known = places or load_places()
    problems = Problems(file)
    top = parse_toml(raw, problems, MOST_BYTES)
    epoch = top.whole("epoch", 1, 2**53)
    geo = top.text("geo", "")
    nodes = _nodes(top)
    groups = _groups(top, known)
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
    )


def _url(table: Table) -> str:
    url = table.text("url")
    try:
        parts = urlsplit(url)
        good = (
            parts.scheme in ("http", "https")
            and bool(parts.hostname)
            and parts.port != 0
            and parts.path in ("", "/")
            and "@" not in parts.netloc
            and not (parts.query or parts.fragment)
        )
    except ValueError:
        good = False
    if url and not good:
        table.bad("url", "must be http(s)://host[:port] without path, user or query")
    return url.rstrip("/")


def _nodes(top: Table) -> list[Node]:
    nodes: list[Node] = []
    numbers: dict[int, str] = {}
    names: dict[str, str] = {}
    urls: dict[str, str] = {}
    for table in top.tables("nodes", most=MOST_NODES, empty=False):
        name = table.text("name")
        if name and not _NAME.fullmatch(name):
            table.bad("name", _NAME_RULE)
        number = table.whole("number", 1, 65535)
        url = _url(table)
        node = Node(number, name, url, table.text("title", name or "-"))
        table.done()
        unique: tuple[tuple[str, dict[Any, str], Any], ...] = (
            ("number", numbers, number if "number" in table.value else None),
            ("name", names, name),
            ("url", urls, url),
        )
        for field, seen, value in unique:
            if value and value in seen:
                table.bad(field, f"{value!r} is also the {field} of {seen[value]}; make it unique")
            elif value:
                seen[value] = table.path
        nodes.append(node)
    return sorted(nodes, key=lambda node: node.number)


def _place_problem(place: str, known: Places) -> str | None:
    """Why a text names no country or subdivision, with the nearest, or None."""
    if place in known.countries or (
        place in known.subdivisions and place not in known.same_as_country
    ):
        return None
    if place in known.same_as_country:
        return f"'{place}' is the place '{known.same_as_country[place]}'; write that"
    if place in known.features:
        return f"'{place}' is not a place but a feature; give its country in [overrides]"
    if re.fullmatch(r"[A-Z]{2}-[A-Z0-9]{1,3}", place) and place[:2] in known.countries:
        return known.explain_subdivision(place)
    return known.explain_country(place)


def _groups(top: Table, known: Places) -> dict[str, frozenset[str]]:
    """Groups with nested groups expanded to places."""
    table = top.table("groups")
    written: dict[str, tuple[str, ...]] = {}
    if len(table.value) > MOST_GROUPS:
        table.bad("", f"has {len(table.value)} groups; at most {MOST_GROUPS} are allowed")
        return {}
    for name in table.value:
        if not _NAME.fullmatch(name):
            table.bad(name, f"the name {_NAME_RULE}")
        written[name] = table.texts(name, most=MOST_PLACES)
        for place in written[name]:
            problem = None
            if place.startswith("group:"):
                if place[6:] not in table.value:
                    problem = _unknown("group", place[6:], table.value)
            else:
                problem = _place_problem(place, known)
            if problem:
                table.bad(name, problem)
    done: dict[str, frozenset[str]] = {}

    def expand(name: str, path: tuple[str, ...]) -> frozenset[str]:
        if name in path:
            ring = " -> ".join((*path[path.index(name) :], name))
            table.bad(name, f"groups nest in a circle ({ring}); break it")
            return frozenset()
        if name not in done:
            places: set[str] = set()
            for place in written.get(name, ()):
                if place.startswith("group:"):
                    places |= expand(place[6:], (*path, name))
                else:
                    places.add(place)
            done[name] = frozenset(places)
        return done[name]

    for name in written:
        expand(name, ())
    return done


def _unknown(kind: str, name: str, known: Any) -> str:
    guess = nearest(name, known)
    hint = f"did you mean '{guess}'?" if guess else f"known: {', '.join(sorted(known)) or 'none'}"
    return f"no {kind} is named '{name}'; {hint}"


def _areas(top: Table) -> list[Area]:
    areas: dict[str, Area] = {}
    for table in top.tables("areas", most=MOST_AREAS):
        name = table.text("name")
        if not _NAME.fullmatch(name):
            table.bad("name", _NAME_RULE)
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
                problem = None if name in groups else _unknown("group", name, groups)
            elif kind == "area" and name:
                problem = None if name in areas else _unknown("area", name, areas)
            else:
                problem = None if place == "default" else _place_problem(place, known)
            if problem:
                table.bad("places", problem)
        listed = table.texts("nodes", most=MOST_NODES)
        nodes = []
        for name in listed:
            if name not in names:
                table.bad("nodes", _unknown("node", name, names))
            elif names[name] in nodes:
                table.bad("nodes", f"'{name}' is listed twice; list it once")
            else:
                nodes.append(names[name])
        residency = table.choice("residency", ("strict", "prefer", "free"))
        evidence = table.choice("evidence", ("any", "explicit"), "any")
        table.done()
        rest = [node for node in every if node not in nodes] if residency == "free" else []
        written.append(
            msgspec.convert(
                {
                    "number": number,
                    "places": places,
                    "nodes": tuple(nodes),
                    "order": (*nodes, *rest),
                    "residency": residency,
                    "evidence": evidence,
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
    )
    table.done()
    if found.stale_after_ms <= found.report_every_ms:
        table.bad("stale_after_ms", "must be longer than report_every_ms, else all looks stale")
    return found
