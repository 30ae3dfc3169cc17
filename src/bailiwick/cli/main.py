"""The `bailiwick` command: a table of contents that imports a command only when it runs."""

from __future__ import annotations

import importlib
import os
import sys
from importlib.metadata import entry_points
from typing import Any

import click

from bailiwick import __version__

GROUP = "bailiwick.commands"
"""Entry points of packages that have further commands. Each names the package of the commands'
modules; its ``COMMANDS`` says of each what it does, its ``TITLE`` what they are for."""
COMMANDS: dict[str, str] = {
    "pay": "Take one payment and show where it went and why.",
    "explain": "Say which node and gateway a payment would get, without taking it.",
    "dry-run": "Route past payments by other rules, and compare.",
    "topology": "Show and check nodes, jurisdictions and rules.",
    "keys": "Make, roll and revoke the API keys of merchants.",
    "usage": "Show every node's usage state and how it changed.",
    "reviews": "List and settle what a person must decide.",
    "erase": "Erase what is personal of a payer; what is money stays.",
    "test-data": "Delete what a merchant's test mode has.",
    "webhooks": "Send events to a webhook endpoint again.",
    "listen": "Forward events to a server on this machine as they happen: for development.",
    "overview": "See and count the payments of all nodes in one place.",
    "check": "Check every money invariant over all nodes and the providers' books.",
    "openapi": "Print the description of the API: OpenAPI 3.1.",
    "access": "Run one access process.",
    "node": "Run one regional transaction node.",
    "migrate": "Bring a node's database to this version's schema.",
}
"""Command -> its line in the overview; the code is `command` in `bailiwick.cli.<name>`, with _ for
each hyphen."""


class LazyGroup(click.Group):
    """A group whose help needs no command's module, because imports dominate start-up."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*COMMANDS, *(name for package in _others() for name in package.COMMANDS)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        module = _module(cmd_name)
        if module is None:
            return None
        found = importlib.import_module(module).command
        if not isinstance(found, click.Command):
            raise TypeError(f"{module}.command is no click command")
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections = [("Commands", COMMANDS)]
        sections += [(package.TITLE, package.COMMANDS) for package in _others()]
        for title, commands in sections:
            with formatter.section(title):
                formatter.write_dl(list(commands.items()))


def _module(name: str) -> str | None:
    """The module of a command; None for a name that nobody has."""
    if name in COMMANDS:
        return f"bailiwick.cli.{name.replace('-', '_')}"
    found = next((each for each in _others() if name in each.COMMANDS), None)
    return None if found is None else f"{found.__name__}.{name}"


def _others() -> list[Any]:
    """The packages that have further commands."""
    return [importlib.import_module(each.value) for each in entry_points(group=GROUP)]


def _version(ctx: click.Context, _parameter: click.Parameter, value: bool) -> None:
    if not value or ctx.resilient_parsing:
        return
    click.echo(f"bailiwick {__version__}")
    ctx.exit()


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version", is_flag=True, callback=_version, expose_value=False, is_eager=True,
    help="Show the version and exit.",
)  # fmt: skip
def bailiwick() -> None:
    """One API to take payments everywhere; each payment is processed by the regional node
    that has jurisdiction over the payer's location.

    Start with: bailiwick demo
    """


def main(arguments: list[str] | None = None) -> Any:
    """Entry point of the console script."""
    try:
        return bailiwick.main(args=arguments, prog_name="bailiwick")
    except BrokenPipeError:
        # `bailiwick ... | head`: the reader has enough. Python would complain at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


if __name__ == "__main__":
    main()
