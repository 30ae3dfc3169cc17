"""What ``bailiwick erase`` says to people."""

from __future__ import annotations

from typing import Any, Final

import click

LIMITS: Final = (
    "what webhooks and providers were told stays with them",
    "tables' files keep old bytes until they are rewritten; logs and backups, until they end",
)
_KINDS: Final = (("orders", "payment"), ("customers", "customer"), ("methods", "payment method"))


def preview(shown: dict[str, Any], alone: bool) -> None:
    """What is there, and what stands against erasing it."""
    for node in shown["nodes"]:
        there = {name: node[field] for field, name in _KINDS if node[field]}
        what = ", ".join(f"{len(ids)} {name}{'s' * (len(ids) != 1)}" for name, ids in there.items())
        before = f", {len(node['before'])} of these erased before" if node["before"] else ""
        click.echo(f"{node['node']} (node {node['number']}): {what or 'nothing'}{before}")
        for ids in there.values():
            click.echo("\n".join(f"  {each}" for each in ids))
        if node["named"]:
            named = ", ".join(node["named"])
            click.echo(f"  named there and not asked for: {named} (--customer erases it)")
    if shown["nodes_not_looked_at"]:
        click.echo(f"Not looked at: {', '.join(shown['nodes_not_looked_at'])}.")
    elif alone:
        click.echo("No other node was looked at: a payer may have paid there too.")
    for each in shown["unknown"]:
        click.echo(f"{each}: known to no node that was looked at", err=True)
    for each in shown["open"]:
        click.echo(f"Not yet: {each['words']}", err=True)


def said(shown: dict[str, Any]) -> None:
    """What was done, and where it ends."""
    for node in shown["nodes"]:
        click.echo(f"{node['node']}: {len(node['erased'])} erased.")
    for each in shown["open"]:
        click.echo(f"Not erased: {each['words']}", err=True)
    click.echo(f"Noted as {shown['run']}. Beyond this:")
    click.echo("\n".join(f"  {each}" for each in shown["limits"]))
