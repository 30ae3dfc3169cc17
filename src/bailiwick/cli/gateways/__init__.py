"""``bailiwick node gateways COMMAND``: gateways of a node that runs.

Each order is given on the version that was looked at: whoever comes second is refused, and looks
again. Secrets are named by where they are, never written on the command line.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click

from bailiwick.cli.over_nodes import user


def _where(command: Callable[..., Any]) -> Callable[..., Any]:
    """The node, and the options that say which fleet and how to answer."""
    options = (
        click.argument("node", metavar="NODE"),
        click.option("--fleet", "fleet_file", type=click.Path(dir_okay=False, path_type=Path),
                     metavar="FILE", envvar="BAILIWICK_FLEET",
                     help="The fleet file: world, secret, addresses."),
        click.option("--data", type=click.Path(file_okay=False, path_type=Path), metavar="DIR",
                     help="A running demo's folder, instead of --fleet; without both: demo-data."),
        click.option("--json", "as_json", is_flag=True, help="Print one JSON document."),
    )  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


def _ordering(question: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The options of a command that changes something; ``question``: what is asked before."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @click.option("--yes", is_flag=True, help="Do not ask.")
        @click.option("--by", metavar="WHO", help="Who gives the order, kept with it; you, else.")
        @wraps(command)
        def run(yes: bool, by: str | None, **options: Any) -> Any:
            if not yes:
                if options["as_json"]:
                    raise click.UsageError("--json does not ask: add --yes")
                click.confirm(question.format(**options), abort=True)
            return command(by=by or user(), **options)

        return run

    return decorate


_NAME = click.argument("name", metavar="GATEWAY")
_SECRETS = click.option(
    "--secret", "secrets", multiple=True, metavar="NAME=WHERE",
    help="A secret: NAME=file:PATH or NAME=env:NAME, read on this host; NAME alone asks for it.",
)  # fmt: skip
_SET = click.option(
    "--set", "settings", multiple=True, metavar="FIELD=VALUE",
    help="A setting, as in the settings file: priority=20, 'countries=[\"DE\", \"AT\"]'.",
)  # fmt: skip
_UNCHECKED = click.option(
    "--unchecked", is_flag=True, help="Take it though the provider does not accept it now."
)


@click.group("gateways", subcommand_metavar="COMMAND")
def command() -> None:
    """Show and change the gateways of a node while it runs.

    What the settings file says stays the start; what is said here stands over it, in the node's
    database. What was begun at a gateway is ended there, whatever is said of it later.
    """


@command.command("list")
@_where
def list_(node: str, fleet_file: Path | None, data: Path | None, as_json: bool) -> None:
    """Show a node's gateways."""
    from bailiwick.cli.gateways import words

    found = _ask(node, fleet_file, data, as_json, verb="list")
    _print(found, as_json, words.table)


@command.command()
@_where
@_NAME
def show(node: str, fleet_file: Path | None, data: Path | None, as_json: bool, name: str) -> None:
    """Show one: its settings, how it stands, who changed what."""
    from bailiwick.cli.gateways import words

    found = _ask(node, fleet_file, data, as_json, verb="show", gateway=name)
    _print(found, as_json, words.one)


@command.command()
@_where
@_NAME
@click.option(
    "--from", "file", type=click.Path(dir_okay=False, exists=True, path_type=Path), metavar="FILE",
    help="Its settings: TOML with the fields of one [[gateways]] table, secrets in [secrets].",
)  # fmt: skip
@_SET
@_SECRETS
@_UNCHECKED
@_ordering("Add gateway {name} at {node}?")
def add(
    node: str,
    fleet_file: Path | None,
    data: Path | None,
    as_json: bool,
    name: str,
    file: Path | None,
    settings: tuple[str, ...],
    secrets: tuple[str, ...],
    unchecked: bool,
    by: str,
) -> None:
    """Add a gateway: it takes payments once its provider has accepted it."""
    from bailiwick.cli.gateways import given

    table, values = given.of_file(file)
    table |= given.settings(settings)
    values |= given.secrets(secrets)
    _order(node, fleet_file, data, as_json, verb="add", gateway=name, settings=table,
           values=values, unchecked=unchecked, by=by)  # fmt: skip


@command.command()
@_where
@_NAME
@_SET
@click.option(
    "--unset", multiple=True, metavar="FIELD",
    help="A setting to be as in the settings file again, or as by default.",
)  # fmt: skip
@_UNCHECKED
@_ordering("Change gateway {name} at {node}?")
def change(
    node: str,
    fleet_file: Path | None,
    data: Path | None,
    as_json: bool,
    name: str,
    settings: tuple[str, ...],
    unset: tuple[str, ...],
    unchecked: bool,
    by: str,
) -> None:
    """Change settings of a gateway. What says whom to ask about open payments stays."""
    from bailiwick.cli.gateways import given

    _order(node, fleet_file, data, as_json, verb="change", gateway=name,
           settings=given.settings(settings), unset=list(unset), unchecked=unchecked,
           by=by)  # fmt: skip


@command.command()
@_where
@_NAME
@_ordering("Have gateway {name} at {node} take new payments?")
def enable(**options: Any) -> None:
    """Have a gateway take new payments again."""
    _order(verb="enable", gateway=options.pop("name"), **options)


@command.command()
@_where
@_NAME
@_ordering("Have gateway {name} at {node} take nothing new?")
def disable(**options: Any) -> None:
    """Have a gateway take nothing new, payouts included, from now on. What was begun ends there."""
    _order(verb="disable", gateway=options.pop("name"), **options)


@command.command()
@_where
@_NAME
@click.option(
    "--wait", "wait_s", type=click.FloatRange(0, 86_400), default=60.0, show_default=True,
    metavar="SECONDS", help="How long to wait for what is open there.",
)  # fmt: skip
@_ordering("Have gateway {name} at {node} take no new charges?")
def drain(
    node: str,
    fleet_file: Path | None,
    data: Path | None,
    as_json: bool,
    name: str,
    wait_s: float,
    by: str,
) -> None:
    """Have a gateway take no new charges, and wait for what is open there.

    Captures, refunds and questions go on there, and payouts of what it holds. The status is 1 if
    something is still open at the end.
    """
    _order(node, fleet_file, data, as_json, verb="drain", gateway=name, by=by, wait_s=wait_s)


@command.command()
@_where
@_NAME
@_SECRETS
@click.option(
    "--same-account", is_flag=True,
    help="You made sure that they are of the same account: another would charge again.",
)  # fmt: skip
@_UNCHECKED
@_ordering("Give gateway {name} at {node} other credentials?")
def credentials(
    node: str,
    fleet_file: Path | None,
    data: Path | None,
    as_json: bool,
    name: str,
    secrets: tuple[str, ...],
    same_account: bool,
    unchecked: bool,
    by: str,
) -> None:
    """Give a gateway other credentials of the same account. Those not named stay."""
    from bailiwick.cli.gateways import given

    if not secrets:
        raise click.UsageError("give --secret NAME=WHERE")
    if not same_account:
        raise click.UsageError(
            "make sure that they are credentials of the same account, and say so with "
            "--same-account; for another account add another gateway"
        )
    _order(node, fleet_file, data, as_json, verb="credentials", gateway=name,
           values=given.secrets(secrets), same_account=True, unchecked=unchecked,
           by=by)  # fmt: skip


@command.command("rotate-key")
@_where
@_ordering("Wrap the credentials of {node} with the key that its settings name now?")
def rotate_key(
    node: str, fleet_file: Path | None, data: Path | None, as_json: bool, by: str
) -> None:
    """Have all credentials of a node under the node key that `credentials_key` gives now."""
    from bailiwick.cli.gateways import words

    found = _ask(node, fleet_file, data, as_json, verb="rotate_key", by=by)
    _print(found, as_json, words.rotated)


def _order(
    node: str,
    fleet_file: Path | None,
    data: Path | None,
    as_json: bool,
    *,
    wait_s: float | None = None,
    **order: Any,
) -> None:
    """Give an order, show what came of it; with ``wait_s``, wait until nothing is open."""
    import sys

    from bailiwick.cli.gateways import words

    found = _ask(node, fleet_file, data, as_json, wait_s=wait_s, **order)
    _print(found, as_json, words.one)
    if wait_s is not None and not found["drained"]:
        sys.exit(1)


def _ask(
    node: str,
    fleet_file: Path | None,
    data: Path | None,
    as_json: bool,
    *,
    wait_s: float | None = None,
    **order: Any,
) -> dict[str, Any]:
    import asyncio
    import sys

    from bailiwick.cli.gateways import asking
    from bailiwick.control.plans import ControlError
    from bailiwick.runtime import telemetry

    telemetry.configure("node operator", level="error")
    try:
        return asyncio.run(asking.told(fleet_file, data, node, order, wait_s))
    except ControlError as error:
        if as_json:
            click.echo(json.dumps({"done": False, "error": str(error)}, ensure_ascii=False))
        else:
            click.echo(f"Not done: {error}", err=True)
        sys.exit(1)


def _print(
    found: dict[str, Any], as_json: bool, lines: Callable[[dict[str, Any]], list[str]]
) -> None:
    if as_json:
        click.echo(json.dumps(found, ensure_ascii=False))
    else:
        click.echo("\n".join(lines(found)))
