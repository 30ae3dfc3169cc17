"""``bailiwick topology check``: read a topology before it is published."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from bailiwick.cli.topology.words import rules, strange_permissions, summary, warnings
from bailiwick.control.changes import changes
from bailiwick.geo.atlas import load as load_atlas
from bailiwick.topology import snapshot
from bailiwick.topology import topology as topology_file
from bailiwick.topology.epochs import Epochs, world_in_force
from bailiwick.topology.reading import WorldError
from bailiwick.topology.routes import coverage
from bailiwick.topology.snapshot import World
from bailiwick.topology.topology import Topology


@click.command()
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--against",
    metavar="EPOCH|DIR",
    help="Also tell what changes: against an epoch of the folder, or another folder.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option(
    "--ip-data",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The operator's MaxMind DB file, to compare with the pinned digest.",
)
def check(path: Path, against: str | None, as_json: bool, ip_data: Path | None) -> None:
    """Check a topology.toml, or a world directory with all its files.

    Every problem is printed with file, field and remedy; the status is then 1.
    """
    try:
        found, world = _read(path)
        digest = load_atlas(ip_data).digest
        mismatch = found.geo_problem(digest)
        if mismatch:
            raise WorldError([mismatch])
        told = None if against is None else changes(_other(path, against), _whole(world))
    except WorldError as error:
        report: dict[str, Any] = {"ok": False, "problems": error.problems}
    except ValueError as error:
        report = {"ok": False, "problems": [str(error)]}
    else:
        report = {
            "ok": True,
            "epoch": found.epoch,
            "geo": digest,
            "summary": [*summary(found), *(rules(world.routing) if world is not None else ())],
            "warnings": [
                *warnings(found),
                *(strange_permissions(world.merchants) if world is not None else ()),
                *(coverage.warnings(world.routing) if world is not None else ()),
            ],
            "problems": [],
        }
        if told is not None:
            report["changes"] = told
    if as_json:
        click.echo(json.dumps(report, ensure_ascii=False, indent=2))
    else:
        _print(report)
    if not report["ok"]:
        sys.exit(1)


def _read(path: Path) -> tuple[Topology, World | None]:
    """Topology and, of a folder, the whole world, as if it were published next."""
    if path.is_dir():
        numbers = Epochs(path).numbers()
        world = _working(path, numbers[-1] if numbers else None)
        return world.topology, world
    try:
        with path.open("rb") as file:
            raw = file.read(topology_file.MOST_BYTES + 1)
    except OSError as error:
        raise WorldError([f"{path.name}: cannot be read: {error.strerror}"]) from error
    numbers = Epochs(path.parent).numbers()
    # In a signed folder the file need not say its epoch.
    epoch = None if not numbers or _says_epoch(raw) else numbers[-1]
    return topology_file.parse(raw, file=path.name, epoch=epoch), None


def _says_epoch(raw: bytes) -> bool:
    from bailiwick.topology.succession import without_epoch

    return without_epoch(raw) != raw


def _working(directory: Path, newest: int | None) -> World:
    """The working copies; in a signed folder they get the number of the epoch in force if they
    are its files, else the next."""
    if newest is None:
        return snapshot.load(directory)
    files = snapshot.read_files(directory)
    in_force = Epochs(directory).head().link
    if in_force is not None and files == in_force.files:
        return snapshot.of_link(in_force)
    return snapshot.build(files, epoch=newest + 1)


def _whole(world: World | None) -> World:
    if world is None:
        raise ValueError("--against compares folders; give the folder instead of the file")
    return world


def _other(path: Path, against: str) -> World:
    if against.isascii() and against.isdigit():
        from bailiwick.control.publishing import PublishError, read_epoch

        try:
            return snapshot.of_link(read_epoch(path, int(against)))
        except PublishError as error:
            raise ValueError(str(error)) from None
    return world_in_force(Path(against))


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
    if "changes" in report:
        for line in report["changes"] or ["Nothing changes."]:
            click.echo(f"change: {line}")
    click.echo(f"geo data: {report['geo']}")
