"""Places and groups of places as a topology names them. Pure."""

import re
from collections.abc import Iterable

from bailiwick.geo.places import Places, nearest
from bailiwick.topology.nodes import NAME, NAME_RULE
from bailiwick.topology.reading import Table

MOST_GROUPS = 500
MOST_PLACES = 10_000


def place_problem(place: str, known: Places) -> str | None:
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


def read_groups(top: Table, known: Places) -> dict[str, frozenset[str]]:
    """Groups with nested groups expanded to places."""
    table = top.table("groups")
    written: dict[str, tuple[str, ...]] = {}
    if len(table.value) > MOST_GROUPS:
        table.bad("", f"has {len(table.value)} groups; at most {MOST_GROUPS} are allowed")
        return {}
    for name in table.value:
        if not NAME.fullmatch(name):
            table.bad(name, f"the name {NAME_RULE}")
        written[name] = table.texts(name, most=MOST_PLACES)
        for place in written[name]:
            problem = None
            if place.startswith("group:"):
                if place[6:] not in table.value:
                    problem = unknown("group", place[6:], table.value)
            else:
                problem = place_problem(place, known)
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


def unknown(kind: str, name: str, known: Iterable[str]) -> str:
    """That a name is not known, with the nearest that is."""
    guess = nearest(name, known)
    hint = f"did you mean '{guess}'?" if guess else f"known: {', '.join(sorted(known)) or 'none'}"
    return f"no {kind} is named '{name}'; {hint}"
