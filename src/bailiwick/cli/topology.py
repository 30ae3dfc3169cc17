"""``bailiwick topology``: check a topology before it is published, and read it in words."""

import json
import sys
from pathlib import Path
from typing import Any

import click

from bailiwick.world import snapshot
from bailiwick.world import topology as topology_file
from bailiwick.world.atlas import load as load_atlas
from bailiwick.world.places import Places, load_places
from bailiwick.world.reading import WorldError
from bailiwick.world.topology import Rule, Topology


@click.group("topology")
def command() -> None:
    """Nodes and the places they have jurisdiction over."""


@command.command()
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option(
    "--ip-data",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The operator's MaxMind DB file, to compare with the pinned digest.",
)
def check(path: Path, as_json: bool, ip_data: Path | None) -> None:
    """Check a topology.toml, or a world directory with all its files.

    Every problem is printed with file, field and remedy; the status is then 1.
    """
    try:
        found = _read(path)
        digest = load_atlas(ip_data).digest
        mismatch = found.geo_problem(digest)
        if mismatch:
            raise WorldError([mismatch])
    except WorldError as error:
        report: dict[str, Any] = {"ok": False, "problems": error.problems}
    except ValueError as error:
        report = {"ok": False, "problems": [str(error)]}
    else:
        report = {
            "ok": True,
            "epoch": found.epoch,
            "geo": digest,
            "summary": summary(found),
            "warnings": warnings(found),
            "problems": [],
        }
    if as_json:
        click.echo(json.dumps(report, ensure_ascii=False, indent=2))
    else:
        _print(report)
    if not report["ok"]:
        sys.exit(1)


def _read(path: Path) -> Topology:
    if path.is_dir():
        return snapshot.load(path).topology
    try:
        with path.open("rb") as file:
            raw = file.read(topology_file.MOST_BYTES + 1)
    except OSError as error:
        raise WorldError([f"{path.name}: cannot be read: {error.strerror}"]) from error
    return topology_file.parse(raw, file=path.name)


def _print(report: dict[str, Any]) -> None:
    for line in report["problems"]:
        click.echo(f"problem: {line}", err=True)
    if not report["ok"]:
        count = len(report["problems"])
        click.echo(f"{count} problem{'s' if count > 1 else ''}; nothing was loaded", err=True)
        return
    for line in report["summary"]:
        click.echo(line)
    for line in report["warnings"]:
        click.echo(f"warning: {line}")
    click.echo(f"geo data: {report['geo']}")


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
    lines += [_sentence(rule, found, places) for rule in found.rules]
    unused = _never_listed(found)
    if unused:
        lines.append(f"Listed by no rule: {', '.join(unused)}.")
    for code, country in found.overrides.items():
        lines.append(f"Coordinates and codes of {code} mean {country}.")
    return lines


def _sentence(rule: Rule, found: Topology, places: Places) -> str:
    names = ", ".join(_place(place, found, places) for place in rule.places[:20])
    more = f" and {len(rule.places) - 20} more" if len(rule.places) > 20 else ""
    nodes = ", then ".join(node.name for node in rule.nodes)
    trust = " (only on explicit evidence)" if rule.evidence == "explicit" else ""
    return f"Payers in {names}{more} go to {nodes} {_RESIDENCY[rule.residency]}{trust}."


def _place(place: str, found: Topology, places: Places) -> str:
    if place == "default":
        return "all other places"
    kind, _, name = place.partition(":")
    if kind == "group":
        return f"group {name} ({len(found.groups[name])} places)"
    if kind == "area":
        return f"area {name}"
    return f"{places.countries[place]} ({place})" if place in places.countries else place


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
    for rule in found.rules:
        lines += [
            f"rules[{rule.number}]: {place} is overridden to {found.overrides[place]}, so this "
            "rule never sees it"
            for place in rule.places
            if place in found.overrides
        ]
        if rule.residency == "strict" and len(rule.nodes) == 1:
            first = rule.places[0]
            more = f" and {len(rule.places) - 1} more" if len(rule.places) > 1 else ""
            lines.append(
                f"rules[{rule.number}]: {first}{more} have one node; while {rule.nodes[0].name} "
                "is down, payments there wait"
            )
    used = {place[6:] for rule in found.rules for place in rule.places if place[:6] == "group:"}
    lines += [f"groups.{name} is used by no rule" for name in found.groups if name not in used]
    return lines
