"""A topology in plain words, and what in it deserves a second look."""

from __future__ import annotations

from bailiwick.geo.places import Places, load_places
from bailiwick.topology.merchants import Merchants
from bailiwick.topology.routes.table import RoutingTable
from bailiwick.topology.routes.words import afterwards, price, sentence
from bailiwick.topology.topology import Match, Rule, Topology

_RESIDENCY = {
    "strict": "and stay there",
    "prefer": "in this order, and nowhere else",
    "free": "first, then any other node",
}


def summary(found: Topology) -> list[str]:
    """The topology in plain words, one sentence a line."""
    places = load_places()
    nodes = ", ".join(f"{node.number} {node.name} ({node.url})" for node in found.nodes)
    lines = [f"Epoch {found.epoch}: {len(found.nodes)} nodes: {nodes}."]
    lines += [
        f"Node {node.name} is {node.state}: it gets no new payments."
        for node in found.nodes
        if node.state != "active"
    ]
    lines += [_sentence(rule, found, places) for rule in found.rules]
    unused = _never_listed(found)
    if unused:
        lines.append(f"Listed by no rule: {', '.join(unused)}.")
    for code, country in found.overrides.items():
        lines.append(f"Coordinates and codes of {code} mean {country}.")
    return lines


def rules(found: RoutingTable) -> list[str]:
    """The routing rules in plain words, in the order in which they are met."""
    lines = [f"Rule {rule.name}: {sentence(rule)}." for rule in found.rules]
    lines += [f"Gateway {fee.gateway} takes of {price(fee)}." for fee in found.fees]
    return lines + [f"Routing: {afterwards(retry)}." for retry in found.retries]


def _sentence(rule: Rule, found: Topology, places: Places) -> str:
    names = ", ".join(place_name(place, found, places) for place in rule.places[:20])
    more = f" and {len(rule.places) - 20} more" if len(rule.places) > 20 else ""
    nodes = ", then ".join(node.name for node in rule.nodes)
    trust = " (only on explicit evidence)" if rule.evidence == "explicit" else ""
    return f"Payers in {names}{more} go to {nodes} {_RESIDENCY[rule.residency]}{trust}."


def place_name(place: str, found: Topology, places: Places) -> str:
    """A rule's place as people call it."""
    if place == "default":
        return "all other places"
    kind, _, name = place.partition(":")
    if kind == "group":
        return f"group {name} ({len(found.groups[name])} places)"
    if kind == "area":
        return f"area {name}"
    return f"{places.countries[place]} ({place})" if place in places.countries else place


def strange_permissions(found: Merchants) -> list[str]:
    """Permissions of restricted keys for what is no resource: they allow nothing."""
    from bailiwick import resources
    from bailiwick.interlink.permissions import Permissions

    known = Permissions(resources.every()).objects
    return [
        f"the key ...{it.last4} of {it.merchant.id} is permitted '{name}', which is no resource: "
        "this allows nothing"
        for it in found.by_hash.values()
        for name in it.grants or ()
        if name not in known
    ]


def _never_listed(found: Topology) -> list[str]:
    listed = {node.name for rule in found.rules for node in rule.nodes}
    return [node.name for node in found.nodes if node.name not in listed]


def warnings(found: Topology) -> list[str]:
    """What is allowed but deserves a second look."""
    places = load_places()
    lines = [
        f"coordinates in {feature} are refused; set overrides.{feature} to decide"
        for feature, meant in places.features.items()
        if meant is None and feature not in found.overrides
    ]
    lines += unreachable(found)
    for rule in found.rules:
        if not rule.takers:
            lines.append(
                f"rules[{rule.number}]: none of its nodes is active; payments there are refused"
            )
        elif rule.residency == "strict" and len(rule.nodes) == 1:
            first = rule.places[0]
            more = f" and {len(rule.places) - 1} more" if len(rule.places) > 1 else ""
            lines.append(
                f"rules[{rule.number}]: {first}{more} have one node; while {rule.nodes[0].name} "
                "is down, payments there wait"
            )
    used = {place[6:] for rule in found.rules for place in rule.places if place[:6] == "group:"}
    lines += [f"groups.{name} is used by no rule" for name in found.groups if name not in used]
    return lines


def unreachable(found: Topology) -> list[str]:
    """Places of rules that no payment can ever match, with the reason."""
    reached = _reached(found)
    lines = []
    for rule in found.rules:
        dead = [place for place in rule.places if (rule.number, place) not in reached]
        for place in dead:
            meant = found.overrides.get(place) or found.overrides.get(place[:2])
            why = (
                f"is overridden to {meant}, so this rule never sees it"
                if meant
                else "can never match: more specific rules cover all of it"
            )
            lines.append(f"rules[{rule.number}]: {place} {why}")
        if len(dead) == len(rule.places):
            lines.append(f"rules[{rule.number}] can never match at all; remove it")
    return lines


def _reached(found: Topology) -> set[tuple[int, str]]:
    """(rule, label) of every match that some payment can get. A match is passed over only if
    it wants explicit evidence and the payment has other."""
    reached = {(match.rule.number, match.label) for match in found.area_rules.values()}

    def follow(chain: tuple[Match, ...]) -> None:
        for match in chain:
            reached.add((match.rule.number, match.label))
            if match.rule.evidence == "any":
                return

    for country, chain in found.by_country.items():
        if country not in found.overrides:
            follow(chain)
    for subdivision, chain in found.by_subdivision.items():
        if subdivision[:2] not in found.overrides:
            follow(chain)
    # Territories may be added to the atlas: the rest of the world is never empty.
    reached |= {(match.rule.number, match.label) for match in found.default}
    return reached
