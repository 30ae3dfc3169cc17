"""What ``bailiwick test-data`` says to people."""

from __future__ import annotations

from typing import Any, Final

import click

STAYS: Final = (
    "API keys, webhook endpoints and configurations",
    "the ids of deleted payments, payouts and setups, and that keys were refused",
    "what providers, webhooks and the overview were told",
)
_NAMES: Final = {
    "payment": "payments",
    "payout": "payouts",
    "setup": "setups",
    "owned": "records",
    "record": "records",
}


def summed(counts: dict[str, int]) -> dict[str, int]:
    """How many of what, as people call it; nothing of what there is none."""
    found: dict[str, int] = {}
    for kind, name in _NAMES.items():
        if counts.get(kind):
            found[name] = found.get(name, 0) + counts[kind]
    return found


def preview(shown: dict[str, Any], alone: bool) -> None:
    """What is there, and what stands against deleting it."""
    for node in shown["nodes"]:
        click.echo(f"{node['node']} (node {node['number']}): {_listed(node['found'])}")
    if shown["nodes_not_looked_at"]:
        click.echo(f"Not looked at: {', '.join(shown['nodes_not_looked_at'])}.")
    elif alone:
        click.echo("No other node was looked at: the merchant may have test data there too.")
    _open(shown, "Not yet")


def said(shown: dict[str, Any]) -> None:
    """What was done, what is left, and what stays."""
    for node in shown["nodes"]:
        click.echo(f"{node['node']}: deleted {_listed(node['deleted'])}.")
        if node["left"]:
            click.echo(
                f"{node['node']}: {_listed(node['left'])} left, in use just now: repeat the"
                " command",
                err=True,
            )
    _open(shown, "Left")
    click.echo(f"Noted as {shown['run']}. What stays:")
    click.echo("\n".join(f"  {each}" for each in shown["stays"]))


def _open(shown: dict[str, Any], word: str) -> None:
    for each in shown["open"]:
        click.echo(
            f"{word}: {each['id']} has an attempt without a definite outcome: wait, or cancel it;"
            " see bailiwick reviews",
            err=True,
        )


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{number} {name}" for name, number in counts.items()) or "nothing"
