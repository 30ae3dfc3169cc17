"""``bailiwick topology``: the commands around the signed chain of epochs."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import click

from bailiwick.bus.client import Bus
from bailiwick.cli.topology.options import (
    FILE,
    KEY,
    NOTE,
    TRUST,
    WORLD,
    about,
    in_json,
    nats,
    over_bus,
    told,
)  # fmt: skip
from bailiwick.cli.topology.words import rules, summary
from bailiwick.control import publishing
from bailiwick.control.changes import changes
from bailiwick.control.publishing import PublishError
from bailiwick.topology import chain, snapshot
from bailiwick.topology.chain import ChainError, Link
from bailiwick.topology.epochs import Epochs
from bailiwick.topology.snapshot import World

# --- beginning ------------------------------------------------------------------------------


@click.command()
@click.argument("path", type=FILE, metavar="FILE")
@in_json
def keygen(path: Path) -> dict[str, Any]:
    """Make a key that signs epochs. Keep it off the hosts that serve payments."""
    key = publishing.make_key(path)
    identity = chain.key_id(key.public_key())
    trust = chain.trust_text([(key.public_key(), path.stem)]).decode()
    lines = [f"Key {identity} is in {path}. Hosts trust it by this trust.json:", trust.rstrip()]
    return {"key": identity, "trust": json.loads(trust), "lines": lines}


@click.command()
@WORLD
@KEY
@NOTE
@in_json
def init(world: Path, key: Path, note: str) -> dict[str, Any]:
    """Begin a signed chain with the files in a folder. Makes trust.json if there is none."""
    link = publishing.initialise(world, publishing.signing_key(key), note=note, key_name=key.stem)
    lines = [f"Epoch {link.epoch} begins the chain ({link.hash[:12]})."]
    return {**about(link), "lines": lines}


# --- publishing -----------------------------------------------------------------------------


@click.command()
@WORLD
@KEY
@nats
@NOTE
@click.option(
    "--expect", type=click.IntRange(min=1), metavar="EPOCH",
    help="Publish only if this epoch is in force.",
)  # fmt: skip
@in_json
def publish(
    world: Path, key: Path, note: str, expect: int | None, **options: Any
) -> dict[str, Any]:
    """Sign the folder's files as the next epoch and publish it."""
    signing = publishing.signing_key(key)
    before = _world_of(publishing.head_of(world))
    done = over_bus(
        options, lambda bus: publishing.publish(world, signing, bus, note=note, expect=expect)
    )
    return told(done, before)


@click.command()
@click.argument("epoch", type=click.IntRange(min=1))
@WORLD
@KEY
@nats
@NOTE
@click.option(
    "--merchants", type=click.Choice(["refuse", "keep", "restore"]), default="refuse",
    show_default=True, help="If keys that were revoked since would become valid again.",
)  # fmt: skip
@in_json
def rollback(
    epoch: int,
    world: Path,
    key: Path,
    note: str,
    merchants: Literal["refuse", "keep", "restore"],
    **options: Any,
) -> dict[str, Any]:
    """Publish an earlier epoch's files again, as the next epoch."""
    signing = publishing.signing_key(key)
    before = _world_of(publishing.head_of(world))
    done = over_bus(
        options,
        lambda bus: publishing.roll_back(
            world, signing, bus, epoch, note=note, merchants=merchants
        ),
    )
    return told(done, before)


@click.command()
@click.argument("file", type=click.File("rb"))
@WORLD
@TRUST
@in_json
def install(file: Any, world: Path, trust: Path | None) -> dict[str, Any]:
    """Put a signed epoch, a file of another host's epochs folder, into this one's."""
    link, fresh = publishing.install(world, file.read(chain.MOST_BYTES + 1), trust)
    words = "is installed" if fresh else "is in force here already"
    lines = [f"Epoch {link.epoch} ({link.hash[:12]}) {words}."]
    return {**about(link), "installed": fresh, "lines": lines}


@click.command()
@WORLD
@TRUST
@nats
@click.option("--force", is_flag=True, help="Also if the broker holds a fork: yours replaces it.")
@in_json
def push(world: Path, trust: Path | None, force: bool, **options: Any) -> dict[str, Any]:
    """Give a broker that is behind, or was wiped, the newest epoch. Processes do so
    themselves; this is for when none runs."""

    async def use(bus: Bus | None) -> tuple[Link, bool]:
        if bus is None:
            raise PublishError("no broker is named; give --nats URL")
        return await publishing.push_head(world, bus, force=force, trust=trust)

    link, lacked = over_bus(options, use)
    words = "was brought to the broker" if lacked else "was at the broker already"
    return {**about(link), "pushed": lacked, "lines": [f"Epoch {link.epoch} {words}."]}


# --- reading --------------------------------------------------------------------------------


@click.command()
@WORLD
@TRUST
@click.option("--last", type=click.IntRange(1, 100_000), default=20, show_default=True)
@in_json
def history(world: Path, trust: Path | None, last: int) -> dict[str, Any]:
    """List the folder's epochs, the newest first."""
    epochs = Epochs(world, trust)
    head, keys = publishing.head_of(world, trust), epochs.trust()
    found, lines = [], []
    for number in reversed(epochs.numbers()[-last:]):
        try:
            link = epochs.read(number, keys)
        except ChainError as error:
            lines.append(f"{number:>6}  not usable: {error}")
            continue
        mark = "*" if link.hash == head.hash else " "
        lines.append(f"{number:>6}{mark} {_when(link)}  {link.hash[:12]}  {link.signed.note}")
        found.append({**about(link), "in_force": link.hash == head.hash})
    return {"epochs": found, "lines": lines}


@click.command()
@click.argument("epoch", type=click.IntRange(min=1))
@WORLD
@TRUST
@click.option("--file", "name", type=click.Choice(sorted(snapshot.FILES)), help="Print a file.")
@in_json
def show(epoch: int, world: Path, trust: Path | None, name: str | None) -> dict[str, Any]:
    """Show one epoch in words, or one of its files."""
    link = publishing.read_epoch(world, epoch, trust)
    found = _world_of(link)
    said = [*summary(found.topology), *rules(found.routing)]
    answer = {**about(link), "files": link.signed.files, "summary": said}
    if name is not None and name not in link.signed.files:
        raise PublishError(f"epoch {epoch} has no {name}")
    if name is not None:
        return {**answer, "lines": [link.signed.files[name].rstrip("\n")]}
    note = f": {link.signed.note}" if link.signed.note else ""
    lines = [f"Issued {_when(link)} by key {link.key}{note}", *said]
    lines += [
        f"Until {_time(each.superseded_ms)} epoch {each.epoch} was in force; keys claimed then "
        "may still be repeated."
        for each in found.earlier
    ]
    return {**answer, "lines": lines}


@click.command()
@click.argument("a", metavar="A")
@click.argument("b", metavar="B")
@WORLD
@TRUST
@in_json
def diff(a: str, b: str, world: Path, trust: Path | None) -> dict[str, Any]:
    """Tell in words what changes from A to B: epochs, or "files" for the working copies."""
    found = changes(_named(a, world, trust), _named(b, world, trust))
    return {"from": a, "to": b, "changes": found, "lines": found or ["Nothing changes."]}


def _named(name: str, world: Path, trust: Path | None) -> World:
    if name == "files":
        epoch = publishing.head_of(world, trust).epoch + 1
        return snapshot.build(snapshot.read_files(world), epoch=epoch)
    if not (name.isascii() and name.isdigit()):
        raise PublishError(f"{name!r} is neither an epoch nor 'files'")
    return _world_of(publishing.read_epoch(world, int(name), trust))


def _world_of(link: Link) -> World:
    return snapshot.of_link(link)


def _when(link: Link) -> str:
    return _time(link.signed.issued_ms)


def _time(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
