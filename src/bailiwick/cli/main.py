"""The `bailiwick` command: a table of contents that imports a command only when it runs."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from typing import Any

import click

from bailiwick import __version__

COMMANDS: dict[str, str] = {
    "demo": "Run the whole system on this machine: nodes, access, a sandbox of providers.",
    "pay": "Take one payment and show where it went and why.",
    "explain": "Say which node and gateway a payment would get, without taking it.",
    "topology": "Show and check nodes, jurisdictions and rules.",
    "usage": "Show every node's usage state and how it changed.",
    "reviews": "List and settle what a person must decide.",
    "overview": "See and count the payments of all nodes in one place.",
    "check": "Check every money invariant over all nodes and the providers' books.",
    "drill": "Break the system on purpose, on many hosts, and check that money stays exact.",
    "bench": "Measure payments per second and latency.",
    "access": "Run one access process.",
    "node": "Run one regional transaction node.",
    "sandbox": "Run the sandbox: payment providers to test against.",
    "certificates": "Make a private authority and certificates, for trying out TLS.",
    "migrate": "Bring a node's database to this version's schema.",
}
"""Command -> its line in the overview; the code is `command` in `bailiwick.cli.<name>`."""


class LazyGroup(click.Group):
    """A group whose help needs no command's module, because imports dominate start-up."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for name in COMMANDS if importlib.util.find_spec(_module(name))]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS or not importlib.util.find_spec(_module(cmd_name)):
            return None
        found = importlib.import_module(_module(cmd_name)).command
        if not isinstance(found, click.Command):
            raise TypeError(f"{_module(cmd_name)}.command is no click command")
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = [(name, COMMANDS[name]) for name in self.list_commands(ctx)]
        if rows:
            with formatter.section("Commands"):
                formatter.write_dl(rows)


def _module(name: str) -> str:
    return f"bailiwick.cli.{name}"


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
