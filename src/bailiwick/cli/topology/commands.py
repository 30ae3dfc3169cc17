"""``bailiwick topology``: the commands around the signed chain of epochs."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import Any, Literal, TypeVar

import click

from bailiwick.bus.client import Bus
from bailiwick.bus.security import Security
from bailiwick.cli.topology.words import summary, warnings
from bailiwick.control import publishing
from bailiwick.control.changes import changes
from bailiwick.control.publishing import Published, PublishError
from bailiwick.topology import chain, snapshot
from bailiwick.topology.chain import ChainError, Link
from bailiwick.topology.epochs import Epochs
from bailiwick.topology.reading import WorldError
from bailiwick.topology.snapshot import World

T = TypeVar("T")
_FILE = click.Path(path_type=Path, dir_okay=False)


def _in_json(command: Callable[..., dict[str, Any]]) -> Callable[..., None]:
    """Print what a command returns as ``lines``, or all of it as JSON; problems end with 1."""

    @wraps(command)
    def run(*, as_json: bool, **options: Any) -> None:
        try:
            answer = command(**options)
        except (PublishError, ChainError) as error:
            _fail([str(error)], as_json)
        except WorldError as error:
            _fail(error.problems, as_json)
        else:
            lines = answer.pop("lines")
            click.echo(json.dumps(answer, ensure_ascii=False) if as_json else "\n".join(lines))

    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")(run)


def _fail(problems: list[str], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"error": problems[0], "problems": problems}, ensure_ascii=False))
    for line in problems if not as_json else []:
        click.echo(f"problem: {line}", err=True)
    sys.exit(1)


_WORLD = click.option(
    "--world",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    required=True,
    metavar="DIR",
    envvar="BAILIWICK_WORLD",
    help="Folder of the world.",
)
_TRUST = click.option(
    "--trust", type=_FILE, metavar="FILE", envvar="BAILIWICK_WORLD_TRUST",
    help="Keys to go by, as in world_trust; by default trust.json in the folder.",
)  # fmt: skip
_KEY = click.option(
    "--key", type=_FILE, required=True, metavar="FILE", envvar="BAILIWICK_WORLD_KEY",
    help="The signing key, made by keygen.",
)  # fmt: skip
_NOTE = click.option("--note", default="", metavar="TEXT", help="Why; kept with the epoch.")


def _nats(command: Callable[..., Any]) -> Callable[..., Any]:
    options = (
        click.option("--nats", multiple=True, metavar="URL", envvar="BAILIWICK_NATS",
                     help="NATS server; may be given several times."),
        click.option("--nats-credentials", type=_FILE, metavar="FILE",
                     envvar="BAILIWICK_NATS_CREDENTIALS", help="A .creds file."),
        click.option("--nats-ca", type=_FILE, metavar="FILE", envvar="BAILIWICK_NATS_CA",
                     help="Authorities of the servers' certificates."),
        click.option("--nats-certificate", type=_FILE, metavar="FILE",
                     envvar="BAILIWICK_NATS_CERTIFICATE", help="Our certificate."),
        click.option("--nats-key", type=_FILE, metavar="FILE", envvar="BAILIWICK_NATS_KEY",
                     help="Its key."),
        click.option("--nats-inbox", default="", metavar="NAME", envvar="BAILIWICK_NATS_INBOX",
                     help="What subjects of answers begin with; by default _INBOX_<user>."),
    )  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


def _over_bus(options: dict[str, Any], use: Callable[[Bus | None], Coroutine[Any, Any, T]]) -> T:
    """Run with the bus that the options ask for."""
    from bailiwick.runtime import telemetry

    telemetry.configure("topology", level="error")
    security = Security(
        credentials=options["nats_credentials"],
        ca=options["nats_ca"],
        certificate=options["nats_certificate"],
        key=options["nats_key"],
        inbox=options["nats_inbox"],
    )

    async def run() -> T:
        async with publishing.connection([url for url in options["nats"] if url], security) as bus:
            return await use(bus)

    return asyncio.run(run())


# --- beginning ------------------------------------------------------------------------------


@click.command()
@click.argument("path", type=_FILE, metavar="FILE")
@_in_json
def keygen(path: Path) -> dict[str, Any]:
    """Make a key that signs epochs. Keep it off the hosts that serve payments."""
    key = publishing.make_key(path)
    identity = chain.key_id(key.public_key())
    trust = chain.trust_text([(key.public_key(), path.stem)]).decode()
    lines = [f"Key {identity} is in {path}. Hosts trust it by this trust.json:", trust.rstrip()]
    return {"key": identity, "trust": json.loads(trust), "lines": lines}


@click.command()
@_WORLD
@_KEY
@_NOTE
@_in_json
def init(world: Path, key: Path, note: str) -> dict[str, Any]:
    """Begin a signed chain with the files in a folder. Makes trust.json if there is none."""
    link = publishing.initialise(world, publishing.signing_key(key), note=note, key_name=key.stem)
    lines = [f"Epoch {link.epoch} begins the chain ({link.hash[:12]})."]
    return {**_about(link), "lines": lines}


# --- publishing -----------------------------------------------------------------------------


@click.command()
@_WORLD
@_KEY
@_nats
@_NOTE
@click.option(
    "--expect", type=click.IntRange(min=1), metavar="EPOCH",
    help="Publish only if this epoch is in force.",
)  # fmt: skip
@_in_json
def publish(
    world: Path, key: Path, note: str, expect: int | None, **options: Any
) -> dict[str, Any]:
    """Sign the folder's topology.toml and merchants.toml as the next epoch and publish it."""
    signing = publishing.signing_key(key)
    before = _world_of(publishing.head_of(world))
    done = _over_bus(
        options, lambda bus: publishing.publish(world, signing, bus, note=note, expect=expect)
    )
    return _told(done, before)


@click.command()
@click.argument("epoch", type=click.IntRange(min=1))
@_WORLD
@_KEY
@_nats
@_NOTE
@click.option(
    "--merchants", type=click.Choice(["refuse", "keep", "restore"]), default="refuse",
    show_default=True, help="If keys that were revoked since would become valid again.",
)  # fmt: skip
@_in_json
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
    done = _over_bus(
        options,
        lambda bus: publishing.roll_back(
            world, signing, bus, epoch, note=note, merchants=merchants
        ),
    )
    return _told(done, before)


def _told(done: Published, before: World) -> dict[str, Any]:
    link = done.link
    if not done.changed:
        lines = [f"The files are those of epoch {link.epoch}, in force; nothing was published."]
        return {**_about(link), "published": False, "changes": [], "warnings": [], "lines": lines}
    known = warnings(before.topology)
    changed = changes(before, done.world)
    doubts = [line for line in warnings(done.world.topology) if line not in known]
    how = "pushed to every process" if done.pushed else "this host's processes take it up"
    lines = [f"Epoch {link.epoch} is published ({link.hash[:12]}): {how}."]
    lines += [f"  {line}" for line in changed or ["Nothing changes for payments."]]
    lines += [f"warning: {line}" for line in doubts]
    told = {"published": True, "pushed": done.pushed, "changes": changed, "warnings": doubts}
    return {**_about(link), **told, "lines": lines}


@click.command()
@click.argument("file", type=click.File("rb"))
@_WORLD
@_TRUST
@_in_json
def install(file: Any, world: Path, trust: Path | None) -> dict[str, Any]:
    """Put a signed epoch, a file of another host's epochs folder, into this one's."""
    link, fresh = publishing.install(world, file.read(chain.MOST_BYTES + 1), trust)
    words = "is installed" if fresh else "is in force here already"
    lines = [f"Epoch {link.epoch} ({link.hash[:12]}) {words}."]
    return {**_about(link), "installed": fresh, "lines": lines}


@click.command()
@_WORLD
@_TRUST
@_nats
@click.option("--force", is_flag=True, help="Also if the broker holds a fork: yours replaces it.")
@_in_json
def push(world: Path, trust: Path | None, force: bool, **options: Any) -> dict[str, Any]:
    """Give a broker that is behind, or was wiped, the newest epoch. Processes do so
    themselves; this is for when none runs."""

    async def use(bus: Bus | None) -> tuple[Link, bool]:
        if bus is None:
            raise PublishError("no broker is named; give --nats URL")
        return await publishing.push_head(world, bus, force=force, trust=trust)

    link, lacked = _over_bus(options, use)
    words = "was brought to the broker" if lacked else "was at the broker already"
    return {**_about(link), "pushed": lacked, "lines": [f"Epoch {link.epoch} {words}."]}


# --- reading --------------------------------------------------------------------------------


@click.command()
@_WORLD
@_TRUST
@click.option("--last", type=click.IntRange(1, 100_000), default=20, show_default=True)
@_in_json
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
        found.append({**_about(link), "in_force": link.hash == head.hash})
    return {"epochs": found, "lines": lines}


@click.command()
@click.argument("epoch", type=click.IntRange(min=1))
@_WORLD
@_TRUST
@click.option("--file", "name", type=click.Choice(sorted(snapshot.FILES)), help="Print a file.")
@_in_json
def show(epoch: int, world: Path, trust: Path | None, name: str | None) -> dict[str, Any]:
    """Show one epoch in words, or one of its files."""
    link = publishing.read_epoch(world, epoch, trust)
    found = _world_of(link)
    answer = {**_about(link), "files": link.signed.files, "summary": summary(found.topology)}
    if name is not None:
        return {**answer, "lines": [link.signed.files[name].rstrip("\n")]}
    note = f": {link.signed.note}" if link.signed.note else ""
    lines = [f"Issued {_when(link)} by key {link.key}{note}", *summary(found.topology)]
    lines += [
        f"Until {_time(each.superseded_ms)} epoch {each.epoch} was in force; keys claimed then "
        "may still be repeated."
        for each in found.earlier
    ]
    return {**answer, "lines": lines}


@click.command()
@click.argument("a", metavar="A")
@click.argument("b", metavar="B")
@_WORLD
@_TRUST
@_in_json
def diff(a: str, b: str, world: Path, trust: Path | None) -> dict[str, Any]:
    """Tell in words what changes from A to B: epochs, or "files" for the working copies."""
    told = changes(_named(a, world, trust), _named(b, world, trust))
    return {"from": a, "to": b, "changes": told, "lines": told or ["Nothing changes."]}


def _named(name: str, world: Path, trust: Path | None) -> World:
    if name == "files":
        epoch = publishing.head_of(world, trust).epoch + 1
        return snapshot.build(snapshot.read_files(world), epoch=epoch)
    if not (name.isascii() and name.isdigit()):
        raise PublishError(f"{name!r} is neither an epoch nor 'files'")
    return _world_of(publishing.read_epoch(world, int(name), trust))


def _world_of(link: Link) -> World:
    return snapshot.of_link(link)


def _about(link: Link) -> dict[str, Any]:
    return {
        "epoch": link.epoch,
        "hash": link.hash,
        "parent": link.signed.parent,
        "key": link.key,
        "issued_ms": link.signed.issued_ms,
        "note": link.signed.note,
    }


def _when(link: Link) -> str:
    return _time(link.signed.issued_ms)


def _time(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
