"""What the commands around the signed chain share: their options, and how they answer."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Coroutine
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click

from bailiwick.bus.client import Bus
from bailiwick.bus.security import Security
from bailiwick.cli.topology.words import strange_permissions, warnings
from bailiwick.control import publishing
from bailiwick.control.changes import changes
from bailiwick.control.publishing import Published, PublishError
from bailiwick.topology.chain import ChainError, Link
from bailiwick.topology.reading import WorldError
from bailiwick.topology.routes import coverage
from bailiwick.topology.snapshot import World

T = TypeVar("T")
FILE = click.Path(path_type=Path, dir_okay=False)


def in_json(command: Callable[..., dict[str, Any]]) -> Callable[..., None]:
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


WORLD = click.option(
    "--world",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    required=True,
    metavar="DIR",
    envvar="BAILIWICK_WORLD",
    help="Folder of the world.",
)
TRUST = click.option(
    "--trust", type=FILE, metavar="FILE", envvar="BAILIWICK_WORLD_TRUST",
    help="Keys to go by, as in world_trust; by default trust.json in the folder.",
)  # fmt: skip
KEY = click.option(
    "--key", type=FILE, required=True, metavar="FILE", envvar="BAILIWICK_WORLD_KEY",
    help="The signing key, made by keygen.",
)  # fmt: skip
NOTE = click.option("--note", default="", metavar="TEXT", help="Why; kept with the epoch.")


def nats(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that say which broker."""
    options = (
        click.option("--nats", multiple=True, metavar="URL", envvar="BAILIWICK_NATS",
                     help="NATS server; may be given several times."),
        click.option("--nats-credentials", type=FILE, metavar="FILE",
                     envvar="BAILIWICK_NATS_CREDENTIALS", help="A .creds file."),
        click.option("--nats-ca", type=FILE, metavar="FILE", envvar="BAILIWICK_NATS_CA",
                     help="Authorities of the servers' certificates."),
        click.option("--nats-certificate", type=FILE, metavar="FILE",
                     envvar="BAILIWICK_NATS_CERTIFICATE", help="Our certificate."),
        click.option("--nats-key", type=FILE, metavar="FILE", envvar="BAILIWICK_NATS_KEY",
                     help="Its key."),
        click.option("--nats-inbox", default="", metavar="NAME", envvar="BAILIWICK_NATS_INBOX",
                     help="What subjects of answers begin with; by default _INBOX_<user>."),
    )  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


def over_bus(options: dict[str, Any], use: Callable[[Bus | None], Coroutine[Any, Any, T]]) -> T:
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


def told(done: Published, before: World) -> dict[str, Any]:
    """What was published, and what changes by it."""
    link = done.link
    if not done.changed:
        lines = [f"The files are those of epoch {link.epoch}, in force; nothing was published."]
        return {**about(link), "published": False, "changes": [], "warnings": [], "lines": lines}
    known = warnings(before.topology)
    changed = changes(before, done.world)
    doubts = [line for line in warnings(done.world.topology) if line not in known]
    doubts += strange_permissions(done.world.merchants)
    doubts += coverage.warnings(done.world.routing)
    how = "pushed to every process" if done.pushed else "this host's processes take it up"
    lines = [f"Epoch {link.epoch} is published ({link.hash[:12]}): {how}."]
    lines += [f"  {line}" for line in changed or ["Nothing changes for payments."]]
    lines += [f"warning: {line}" for line in doubts]
    more = {"published": True, "pushed": done.pushed, "changes": changed, "warnings": doubts}
    return {**about(link), **more, "lines": lines}


def about(link: Link) -> dict[str, Any]:
    """An epoch, for programs."""
    return {
        "epoch": link.epoch,
        "hash": link.hash,
        "parent": link.signed.parent,
        "key": link.key,
        "issued_ms": link.signed.issued_ms,
        "note": link.signed.note,
    }
