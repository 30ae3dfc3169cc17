"""``bailiwick topology``: check, sign and publish which node has jurisdiction over what."""

from __future__ import annotations

import importlib

import click

_COMMANDS = {
    "check": "Check a topology before it is published, and read it in words.",
    "keygen": "Make a key that signs epochs.",
    "init": "Begin a signed chain with the files in a folder.",
    "publish": "Sign the folder's files as the next epoch and publish it.",
    "history": "List the folder's epochs.",
    "show": "Show one epoch in words, or one of its files.",
    "diff": "Tell in words what changes from one epoch to another.",
    "rollback": "Publish an earlier epoch's files again, as the next epoch.",
    "install": "Put a signed epoch into a folder, for a host without a broker.",
    "push": "Give a broker that was wiped the newest epoch.",
}


class _Lazy(click.Group):
    """Imports a command's module only when it runs: `check` needs no broker's client."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module = "check" if cmd_name == "check" else "commands"
        found = getattr(importlib.import_module(f"bailiwick.cli.topology.{module}"), cmd_name)
        if not isinstance(found, click.Command):
            raise TypeError(f"topology {cmd_name} is no click command")
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.group("topology", cls=_Lazy)
def command() -> None:
    """Nodes and the places they have jurisdiction over."""
