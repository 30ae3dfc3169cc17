"""What changed between two worlds, in words: for a person who is about to publish."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime

import msgspec

from bailiwick.base.objects import API_VERSION
from bailiwick.geo.places import Places, load_places
from bailiwick.topology.merchants import Merchants, Principal
from bailiwick.topology.routes import changes as routing_changes
from bailiwick.topology.snapshot import World
from bailiwick.topology.topology import Match, Rule, Topology

_NAMED = 8  # places named one by one in a line
NOBODY = "no active node"


def changes(old: World, new: World) -> list[str]:
    """One sentence a line, what moves money first; empty when nothing changes for anybody."""
    return [
        *_moved(old.topology, new.topology),
        *_residency(old.topology, new.topology),
        *_nodes(old.topology, new.topology),
        *_settings(old.topology, new.topology),
        *_merchants(old.merchants, new.merchants),
        *routing_changes.changes(old.routing, new.routing),
    ]


# --- places ---------------------------------------------------------------------------------


def _policies(topology: Topology) -> dict[str, Rule]:
    """Every place that can be told apart, with the rule it gets on explicit evidence."""
    found: dict[str, Rule] = {}

    def first(place: str, chain: tuple[Match, ...]) -> None:
        if chain:
            found[place] = chain[0].rule

    for place, chain in topology.by_country.items():
        first(place, topology.by_country.get(topology.overrides.get(place, place), chain))
    for place, chain in topology.by_subdivision.items():
        first(place, chain)
    for name, match in topology.area_rules.items():
        found[f"area {name}"] = match.rule
    return found


def _in_both(old: Topology, new: Topology) -> Iterable[tuple[str, Rule, Rule]]:
    """Places with their rule before and after; a place that only one of them names by itself
    is compared with what contained it."""
    before, after = _policies(old), _policies(new)
    for place in sorted({*before, *after}):
        was = before.get(place) or before.get(place[:2])
        now = after.get(place) or after.get(place[:2])
        if was is not None and now is not None:
            yield place, was, now


def homes_moved(old: Topology, new: Topology) -> dict[tuple[str, str], list[str]]:
    """Places by their home before and after, where that differs."""
    return _alike(old, new, lambda rule, topology: _home(rule, topology) or NOBODY)


def _moved(old: Topology, new: Topology) -> list[str]:
    return _grouped(
        old, new, lambda rule, topology: _home(rule, topology) or NOBODY,
        "{places} {verb} from {was} to {now}", ("moves", "move"),
    )  # fmt: skip


def _residency(old: Topology, new: Topology) -> list[str]:
    return _grouped(
        old, new, lambda rule, _: f"{rule.residency} ({', '.join(n.name for n in rule.nodes)})",
        "{places}: residency {was} becomes {now}", ("", ""),
    ) + _grouped(
        old, new, lambda rule, _: rule.evidence,
        "{places}: evidence {was} becomes {now}", ("", ""),
    )  # fmt: skip


def _home(rule: Rule, topology: Topology) -> str:
    return topology.by_number[rule.takers[0]].name if rule.takers else ""


def _grouped(
    old: Topology,
    new: Topology,
    value: Callable[[Rule, Topology], str],
    sentence: str,
    verbs: tuple[str, str],
) -> list[str]:
    """One sentence for all places that change alike."""
    table = load_places()
    return [
        sentence.format(
            places=_listed(places, table), verb=verbs[len(places) > 1], was=pair[0], now=pair[1]
        )
        + "."
        for pair, places in sorted(_alike(old, new, value).items())
    ]


def _alike(
    old: Topology, new: Topology, value: Callable[[Rule, Topology], str]
) -> dict[tuple[str, str], list[str]]:
    alike: dict[tuple[str, str], list[str]] = {}
    for place, was, now in _in_both(old, new):
        pair = value(was, old), value(now, new)
        if pair[0] != pair[1]:
            alike.setdefault(pair, []).append(place)
    return alike


def _listed(names: list[str], table: Places) -> str:
    shown = [
        f"{table.countries[name]} ({name})" if name in table.countries else name
        for name in names[:_NAMED]
    ]
    more = f" and {len(names) - _NAMED} more places" if len(names) > _NAMED else ""
    return ", ".join(shown) + more


# --- nodes and settings ---------------------------------------------------------------------


def _nodes(old: Topology, new: Topology) -> list[str]:
    lines = []
    for number in sorted({*old.by_number, *new.by_number}):
        was, now = old.by_number.get(number), new.by_number.get(number)
        if was is None and now is not None:
            state = "" if now.state == "active" else f", {now.state}"
            lines.append(f"Node {number} {now.name} is added ({now.url}{state}).")
        elif now is None and was is not None:
            lines.append(f"Node {number} {was.name} is removed.")
        elif was is not None and now is not None and was != now:
            lines.append(f"Node {number} {was.name}: {_fields(was, now)}.")
    return lines


def _fields(was: msgspec.Struct, now: msgspec.Struct) -> str:
    before, after = msgspec.structs.asdict(was), msgspec.structs.asdict(now)
    return ", ".join(
        f"{name} {_value(before[name])} becomes {_value(after[name])}"
        for name in before
        if before[name] != after[name]
    )


def _value(value: object) -> str:
    return '""' if value == "" else str(value)


def _settings(old: Topology, new: Topology) -> list[str]:
    lines = []
    if old.thresholds != new.thresholds:
        lines.append(f"Thresholds: {_fields(old.thresholds, new.thresholds)}.")
    if old.key_retention_hours != new.key_retention_hours:
        lines.append(
            f"Keys are kept {new.key_retention_hours} hours instead of {old.key_retention_hours}."
        )
    if old.geo != new.geo:
        lines.append(f"The geo data pinned becomes {new.geo or 'none'}.")
    for code in sorted({*old.overrides, *new.overrides}):
        was, now = old.overrides.get(code), new.overrides.get(code)
        if was != now:
            lines.append(f"Override of {code}: {was or 'none'} becomes {now or 'none'}.")
    drawn = {area.name: area for area in old.areas}
    for area in new.areas:
        if drawn.pop(area.name, area) != area:
            lines.append(f"Area {area.name} is redrawn.")
    lines += [f"Area {name} is removed." for name in drawn]
    known = {area.name for area in old.areas}
    lines += [f"Area {each.name} is added." for each in new.areas if each.name not in known]
    for name in sorted({*old.groups, *new.groups}):
        held, holds = old.groups.get(name, frozenset()), new.groups.get(name, frozenset())
        signs = [f"+{place}" for place in sorted(holds - held)]
        signs += [f"-{place}" for place in sorted(held - holds)]
        if signs:
            more = f" and {len(signs) - _NAMED} more" if len(signs) > _NAMED else ""
            lines.append(f"Group {name}: {', '.join(signs[:_NAMED])}{more}.")
    return lines


# --- merchants ------------------------------------------------------------------------------


def _merchants(old: Merchants, new: Merchants) -> list[str]:
    lines = []
    for identifier in sorted({*old.by_id, *new.by_id}):
        was, now = old.by_id.get(identifier), new.by_id.get(identifier)
        if was is None and now is not None:
            lines.append(f"Merchant {identifier} ({now.name}) is added.")
        elif now is None and was is not None:
            lines.append(f"Merchant {identifier} ({was.name}) is removed.")
        elif was is not None and now is not None and was != now:
            lines.append(f"Merchant {identifier}: {_fields(was, now)}.")
    for sha256 in sorted({*old.by_hash, *new.by_hash}):
        had, has = old.by_hash.get(sha256), new.by_hash.get(sha256)
        if had is None and has is not None:
            lines.append(f"{_key(has, sha256)} is added.")
        elif has is None and had is not None:
            lines.append(f"{_key(had, sha256)} is revoked.")
        elif had is not None and has is not None and _rights(had) != _rights(has):
            lines.append(f"{_key(had, sha256)} becomes {_rights(has)}.")
    return lines


def _rights(key: Principal) -> str:
    kind = key.kind if key.grants is None else "restricted"
    held = f"a {'live' if key.livemode else 'test'} {kind} key of {key.merchant.id}"
    if key.grants is not None:
        grants = [f"{name}={verb}" for name, verb in sorted(key.grants.items()) if verb != "none"]
        held += f" that may {', '.join(grants) or 'nothing'}"
    if key.api_version != API_VERSION:
        held += f", version {key.api_version}"
    if key.rate_per_second:
        held += f", {key.rate_per_second} requests a second"
    if key.expires_ms:
        held += f", until {datetime.fromtimestamp(key.expires_ms / 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"
    return held


def _key(key: Principal, sha256: str) -> str:
    mark = f"...{key.last4}" if key.last4 else f"sha256 {sha256[:12]}"
    return f"A{_rights(key)[1:]} ({mark})"
