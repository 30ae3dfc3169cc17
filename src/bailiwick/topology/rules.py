"""Resolve written rules into look-ups per place; refuse overlaps and holes by name. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from math import floor

import msgspec

from bailiwick.geo import polygons
from bailiwick.geo.places import Places
from bailiwick.topology.parts import Area, Match, Rule
from bailiwick.topology.reading import Problems

_NAMED = 12  # places listed by name in one problem line


class Index(msgspec.Struct, frozen=True):
    """See ``Topology`` for the meaning of each."""

    areas_at: Mapping[tuple[int, int], tuple[Area, ...]]
    area_rules: Mapping[str, Match]
    by_subdivision: Mapping[str, tuple[Match, ...]]
    by_country: Mapping[str, tuple[Match, ...]]
    default: tuple[Match, ...]


def build(
    rules: Sequence[Rule],
    groups: Mapping[str, frozenset[str]],
    areas: Sequence[Area],
    places: Places,
    problems: Problems,
) -> Index:
    """Resolve the rules; adds overlaps and holes to ``problems``."""
    direct = _direct(rules, problems)
    through = _through_groups(rules, groups)
    _refuse_group_overlaps(direct, through, problems)
    resolved = {place: matches[0] for place, matches in through.items()}
    default = (direct["default"],) if "default" in direct else ()
    by_country: dict[str, tuple[Match, ...]] = {}
    by_subdivision: dict[str, tuple[Match, ...]] = {}
    for place in {*direct, *resolved}:
        chain = tuple(found for found in (direct.get(place), resolved.get(place)) if found)
        if place in places.subdivisions:
            by_subdivision[place] = chain
    for country in places.countries:
        own = (direct.get(country), resolved.get(country))
        by_country[country] = (*(found for found in own if found), *default)
    _refuse_holes(by_country, default, places, problems)
    area_rules = {label[5:]: match for label, match in direct.items() if label.startswith("area:")}
    _check_areas(areas, area_rules, problems)
    return Index(
        areas_at=_cells(area for area in areas if area.name in area_rules),
        area_rules=area_rules,
        by_subdivision=by_subdivision,
        by_country=by_country,
        default=default,
    )


def _at(rule: Rule) -> str:
    return f"rules[{rule.number}]"


def _direct(rules: Sequence[Rule], problems: Problems) -> dict[str, Match]:
    """What rules name themselves: countries, subdivisions, areas, default (not groups)."""
    direct: dict[str, Match] = {}
    for rule in rules:
        for place in rule.places:
            first = direct.get(place)
            if first is None:
                direct[place] = Match(place, rule)
            elif first.rule is rule:
                problems.add(f"{_at(rule)}.places", f"'{place}' is listed twice; list it once")
            else:
                problems.add(
                    f"{_at(rule)}.places",
                    f"overlap: '{place}' is also named by {_at(first.rule)}; keep one of them",
                )
    return direct


def _through_groups(
    rules: Sequence[Rule], groups: Mapping[str, frozenset[str]]
) -> dict[str, list[Match]]:
    """For every place that groups in rules hold: the matches, one per rule."""
    through: dict[str, list[Match]] = {}
    for rule in rules:
        for label in rule.places:
            if not label.startswith("group:"):
                continue
            for place in groups[label[6:]]:
                matches = through.setdefault(place, [])
                if all(match.rule is not rule for match in matches):
                    matches.append(Match(label, rule))
    return through


def _refuse_group_overlaps(
    direct: Mapping[str, Match], through: Mapping[str, list[Match]], problems: Problems
) -> None:
    """Two groups with different rules hold a place, and no rule for the place itself decides."""
    clashes: dict[tuple[str, str], list[str]] = {}
    for place, matches in through.items():
        own = direct.get(place)
        if len(matches) > 1 and (own is None or own.rule.evidence != "any"):
            first, second = matches[0], matches[1]
            key = (
                f"'{first.label}' ({_at(first.rule)})",
                f"'{second.label}' ({_at(second.rule)})",
            )
            clashes.setdefault(key, []).append(place)
    for (one, other), held in sorted(clashes.items()):
        problems.add(
            "rules",
            f"overlap: {_some(held)} are held by {one} and by {other}; name each in a rule of "
            "its own or take it out of one group",
        )


def _some(codes: Iterable[str]) -> str:
    """The first few codes in order and how many more there are."""
    ordered = sorted(codes)
    more = f" and {len(ordered) - _NAMED} more" if len(ordered) > _NAMED else ""
    return ", ".join(ordered[:_NAMED]) + more


def _refuse_holes(
    by_country: Mapping[str, tuple[Match, ...]],
    default: tuple[Match, ...],
    places: Places,
    problems: Problems,
) -> None:
    """Every country needs a rule that accepts whatever evidence there is."""
    if default and default[0].rule.evidence != "any":
        problems.add(
            f"{_at(default[0].rule)}.evidence",
            'the default rule must accept any evidence; set evidence = "any"',
        )
        return
    holes = [code for code, chain in by_country.items() if not chain]
    if holes:
        names = ", ".join(f"{code} {places.countries[code]}" for code in sorted(holes)[:_NAMED])
        more = f" and {len(holes) - _NAMED} more" if len(holes) > _NAMED else ""
        problems.add(
            "rules",
            f"hole: no rule covers {names}{more}; add rules for them or one with "
            'places = ["default"]',
        )
    weak = [
        code
        for code, chain in by_country.items()
        if chain and all(match.rule.evidence != "any" for match in chain)
    ]
    if weak:
        problems.add(
            "rules",
            f"hole: {_some(weak)} are covered only for explicit evidence; add a rule that "
            "accepts any, for example the default",
        )


def _check_areas(
    areas: Sequence[Area], area_rules: Mapping[str, Match], problems: Problems
) -> None:
    used = []
    for area in areas:
        match = area_rules.get(area.name)
        if match is None:
            problems.add(
                "areas", f"'{area.name}' is named by no rule; add 'area:{area.name}' to one"
            )
            continue
        if match.rule.evidence != "any":
            problems.add(
                f"{_at(match.rule)}.evidence",
                f"'area:{area.name}' is found from coordinates; only evidence = \"any\" fits",
            )
        used.append(area)
    # Neighbours in order of their western edge: far fewer pairs than all with all.
    used.sort(key=lambda area: polygons.box_of(area.polygon)[0])
    for index, first in enumerate(used):
        east = polygons.box_of(first.polygon)[2]
        for second in used[index + 1 :]:
            if polygons.box_of(second.polygon)[0] >= east:
                break
            if polygons.overlap(first.polygon, second.polygon):
                problems.add(
                    "areas",
                    f"overlap: '{first.name}' and '{second.name}' share ground; redraw one",
                )


def _cells(areas: Iterable[Area]) -> dict[tuple[int, int], tuple[Area, ...]]:
    cells: dict[tuple[int, int], tuple[Area, ...]] = {}
    for area in areas:
        west, south, east, north = polygons.box_of(area.polygon)
        for row in range(floor(south), floor(north) + 1):
            for column in range(floor(west), floor(east) + 1):
                cells[row, column] = (*cells.get((row, column), ()), area)
    return cells
