"""`bailiwick explain`: which node and gateway a payment would get, and why not the others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from bailiwick.cli import client


@click.command("explain")
@client.payment_options
def command(
    amount: int,
    currency: str,
    country: str | None,
    subdivision: str | None,
    coordinates: str | None,
    ip: str | None,
    method: str,
    data: Path,
    base_url: str | None,
    key: str | None,
    as_json: bool,
) -> None:
    """Say which node and gateway a payment would get, and why not the others. Nothing is
    taken or stored.

    \b
    bailiwick explain --country IN --currency inr --amount 50000
    """
    api = client.target(data, base_url, key)
    place = (country, subdivision, coordinates, ip)
    form = client.fields(amount, currency, *place, method, confirm=True)
    told = client.post(api, "/v1/explain", form)
    answer = told.answer
    if as_json:
        click.echo(json.dumps(answer, ensure_ascii=False, indent=2))
        if "error" in answer:
            raise SystemExit(1)
    elif "error" in answer:
        client.fail(client.explain_error(told.status, answer))
    else:
        _show(answer, f"{amount} {currency.upper()}", told.seconds)


def _show(answer: dict[str, Any], money: str, seconds: float) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.tree import Tree

    from bailiwick.cli import path_tree

    tree = Tree(
        f"[bold]a payment of {escape(money)} (minor units) would go[/]  "
        f"[dim]answered in {seconds * 1000:.1f} ms[/]"
    )
    path_tree.located(tree, answer.get("location"))
    path_tree.assigned(tree, answer.get("assignment"), full=True)
    path_tree.routed(tree, answer.get("routing"), full=True)
    missing = answer.get("routing_unavailable")
    if missing:
        tree.add(f"[yellow]routing unknown: {escape(str(missing))}[/]")
    for name, verdict in (answer.get("usage") or {}).items():
        if missing and verdict != "open":
            tree.add(f"[dim]usage state of {escape(name)}: {escape(str(verdict))}[/]")
    Console(highlight=False).print(tree)
