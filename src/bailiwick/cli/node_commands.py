"""``bailiwick node COMMAND``: what an operator does with nodes.

Every command first tells in words what it will do, then asks, then does it step by step. It may be
repeated: what is done already is found so.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from functools import wraps
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import click
import msgspec

from bailiwick.cli.node_words import table
from bailiwick.control import fencing, fleet, joining, moving, serving
from bailiwick.control import status as status_module
from bailiwick.control.fleet import Fleet
from bailiwick.control.plans import ControlError, Done, Plan, carry_out
from bailiwick.control.site import Site, opened

_Making = Callable[[Site], Awaitable[Plan]]


def _where(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say which fleet, and how to answer."""
    options = (
        click.option("--fleet", "fleet_file", type=click.Path(dir_okay=False, path_type=Path),
                     metavar="FILE", envvar="BAILIWICK_FLEET",
                     help="The fleet file: world, key, databases."),
        click.option("--data", type=click.Path(file_okay=False, path_type=Path), metavar="DIR",
                     help="A running demo's folder, instead of --fleet; without both: demo-data."),
        click.option("--json", "as_json", is_flag=True, help="Print one JSON document."),
    )  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


def _planned(command: Callable[..., _Making]) -> Callable[..., None]:
    """Preview, ask, carry out. The status is 0 only if all was done."""

    @_where
    @click.option("--yes", is_flag=True, help="Do not ask.")
    @click.option("--preview", is_flag=True, help="Only say what would be done.")
    @wraps(command)
    def run(
        fleet_file: Path | None,
        data: Path | None,
        as_json: bool,
        yes: bool,
        preview: bool,
        **options: Any,
    ) -> None:
        async def go() -> tuple[Plan, Done | None]:
            async with opened(_fleet(fleet_file, data)) as site:
                plan = await command(**options)(site)
                if not as_json:
                    click.echo("\n".join([*plan.preview.lines(), ""]))
                if preview:
                    return plan, None
                _consent(plan, yes, bool(options.get("host_stopped", True)), as_json)
                return plan, await carry_out(plan, _say(as_json))

        plan, done = _guarded(go, as_json)
        shown = {"operation": plan.operation, "node": plan.node,
                 "preview": msgspec.to_builtins(plan.preview)}  # fmt: skip
        if done is None:
            if as_json:
                click.echo(json.dumps({**shown, "done": False}, ensure_ascii=False))
            return
        if as_json:
            told = {**shown, "done": True, "steps": done.steps, "seconds": done.seconds}
            click.echo(json.dumps({**told, **done.facts}, ensure_ascii=False))
        else:
            click.echo(f"Done in {done.seconds:.1f} s.")

    return run


def _guarded(work: Callable[[], Awaitable[Any]], as_json: bool) -> Any:
    from bailiwick.runtime import telemetry

    telemetry.configure("node operator", level="error")

    async def run() -> Any:
        return await work()

    try:
        return asyncio.run(run())
    except ControlError as error:
        if as_json:
            click.echo(json.dumps({"done": False, "error": str(error)}, ensure_ascii=False))
        else:
            click.echo(f"Not done: {error}", err=True)
        sys.exit(1)


def _fleet(file: Path | None, data: Path | None) -> Fleet:
    if file is not None and data is not None:
        raise ControlError("give --fleet or --data, not both")
    if file is not None:
        return fleet.load(file)
    return fleet.of_demo((data or Path("demo-data")).absolute())


def _say(as_json: bool) -> Callable[[str], None]:
    # Progress is for people; with --json they may still look at the error stream.
    return lambda line: click.echo(line, err=as_json)


def _consent(plan: Plan, yes: bool, host_stopped: bool, as_json: bool) -> None:
    """Ask the person. Raises ControlError for a no."""
    if not host_stopped and (yes or as_json):
        raise ControlError(
            "make sure that the old host is stopped or cut off, and say so with --host-stopped"
        )
    if yes:
        return
    if as_json:
        raise ControlError("--json does not ask: add --yes or --preview")
    if not plan.confirm:
        if not click.confirm("Do it?"):
            raise ControlError("nothing was changed")
        return
    stopped = "" if host_stopped else ", and its old host is stopped or cut off"
    typed = click.prompt(f"If you are sure{stopped}, type the node's name")
    if typed != plan.confirm:
        raise ControlError("nothing was changed")


_HOST_STOPPED = click.option(
    "--host-stopped", is_flag=True,
    help="You made sure that the old host is stopped or cut off.",
)  # fmt: skip
_NAME = click.argument("name", metavar="NODE")


@click.command()
@_NAME
@click.option("--undo", is_flag=True, help="Take its places again.")
@click.option("--local", is_flag=True, help="Only tell its database; no epoch.")
@click.option(
    "--wait", "wait_s", type=click.FloatRange(0, 86_400), default=60.0, show_default=True,
    metavar="SECONDS", help="How long to wait for what is under way.",
)  # fmt: skip
@_planned
def drain(name: str, undo: bool, local: bool, wait_s: float) -> _Making:
    """Have a node take no new payments, and wait for those under way."""
    if local:
        return lambda site: serving.drain_local(site, name, draining=not undo)
    if undo:
        return lambda site: serving.undrain(site, name)
    return lambda site: serving.drain(site, name, wait_s=wait_s)


@click.command()
@_NAME
@click.option(
    "--promote", is_flag=True, help="If its primary cannot be fenced, promote its standby."
)
@_planned
def fence(name: str, promote: bool) -> _Making:
    """Have nothing written at a node any more, and wait until its permits have run out."""
    return lambda site: fencing.fence(site, name, promote=promote)


@click.command()
@_NAME
@click.option("--dsn", metavar="DSN", help="Its database; without it the fleet's.")
@click.option("--url", required=True, metavar="URL", help="Where its new process is reached.")
@click.option(
    "--config-out", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
    help="Write settings for the new process, made of the fleet's copy of the old ones.",
)  # fmt: skip
@click.option("--listen", default="", metavar="HOST:PORT", help="For these settings.")
@_HOST_STOPPED
@_planned
def adopt(
    name: str,
    dsn: str | None,
    url: str,
    config_out: Path | None,
    listen: str,
    host_stopped: bool,
) -> _Making:
    """Serve a fenced node from another host, on its own database."""

    async def plan(site: Site) -> Plan:
        return await moving.adopt(
            site, name, dsn=dsn or site.entry(name).dsn, url=url, config_out=config_out,
            listen=listen,
        )  # fmt: skip

    return plan


@click.command()
@_NAME
@click.option(
    "--unreachable", is_flag=True, help="Its database cannot be fenced, and its host is stopped."
)
@_HOST_STOPPED
@_planned
def evacuate(name: str, unreachable: bool, host_stopped: bool) -> _Making:
    """Serve a fenced node's places without its database."""
    return lambda site: moving.evacuate(site, name, unreachable=unreachable)


@click.command("return")
@_NAME
@click.option(
    "--wait", "wait_s", type=click.FloatRange(1, 86_400), default=120.0, show_default=True,
    metavar="SECONDS", help="How long to wait for its process, and for what is open.",
)  # fmt: skip
@_planned
def come_back(name: str, wait_s: float) -> _Making:
    """Bring a fenced or evacuated node back: end what was open, then take its places."""
    return lambda site: moving.come_back(site, name, wait_s=wait_s)


@click.command()
@click.argument("name", metavar="[NODE]", required=False)
@click.option(
    "--config", type=click.Path(dir_okay=False, exists=True, path_type=Path), metavar="FILE",
    help="The new node's settings; they name its url.",
)  # fmt: skip
@click.option(
    "--topology", type=click.Path(dir_okay=False, exists=True, path_type=Path), metavar="FILE",
    help="A topology that has the node and its rules.",
)  # fmt: skip
@click.option("--no-canary", is_flag=True, help="It has no gateway in test mode to prove itself.")
@click.option(
    "--wait", "wait_s", type=click.FloatRange(1, 86_400), default=300.0, show_default=True,
    metavar="SECONDS", help="How long to wait for its process.",
)  # fmt: skip
@_planned
def join(
    name: str | None, config: Path | None, topology: Path | None, no_canary: bool, wait_s: float
) -> _Making:
    """Add a node with an empty database. In a demo its name is enough."""

    async def plan(site: Site) -> Plan:
        if config is not None and topology is not None:
            new = joining.of_config(config, topology)
            if name not in (None, new.name):
                raise ControlError(f"{config} is of node '{new.name}', not of '{name}'")
        elif site.fleet.data is not None and name is not None:
            new = _of_demo(site.fleet.data, name)
        else:
            raise ControlError("give --config node.toml and --topology FILE, or a demo's node")
        return await joining.join(site, new, wait_s=wait_s, prove=not no_canary)

    return plan


@click.command()
@_NAME
@_planned
def remove(name: str) -> _Making:
    """Take a drained node out of the topology, once nothing is open there."""
    return lambda site: serving.remove(site, name)


@click.command()
@_where
@click.option(
    "--patience", "patience_s", type=click.FloatRange(0, 600), default=0.0, show_default=True,
    metavar="SECONDS", help="Ask silent nodes for so long before judging them.",
)  # fmt: skip
def status(fleet_file: Path | None, data: Path | None, as_json: bool, patience_s: float) -> None:
    """Show how every node stands, and what to do about it. The status is 1 if there is."""

    async def go() -> status_module.Status:
        async with opened(_fleet(fleet_file, data)) as site:
            return await status_module.status(site, patience_s=patience_s)

    found: status_module.Status = _guarded(go, as_json)
    if as_json:
        click.echo(json.dumps(msgspec.to_builtins(found), ensure_ascii=False))
    else:
        click.echo("\n".join(table(found)))
    if found.proposals:
        sys.exit(1)


def _of_demo(data: Path, name: str) -> joining.Joining:
    """A region of a demo's, as the package that runs demos knows it. Raises ControlError."""
    for each in entry_points(group="bailiwick.joins", name="demo"):
        found: joining.Joining = each.load()(data, name)
        return found
    raise ControlError("this installation knows no demos: give --config and --topology")
