"""`bailiwick pay`: take one payment and show the way it went."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from bailiwick.cli import client


@click.command("pay")
@client.payment_options
@click.option("--manual", is_flag=True, help="Only hold the money; capture it later.")
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
    manual: bool,
) -> None:
    """Take one payment and show where it went and why.

    \b
    bailiwick pay --amount 1999 --currency eur --country DE
    bailiwick pay --amount 50000 --currency inr --coordinates 19.07,72.87
    """
    api = client.target(data, base_url, key)
    place = (country, subdivision, coordinates, ip)
    form = client.fields(amount, currency, *place, method, confirm=True)
    if manual:
        form["capture_method"] = "manual"
    told = client.post(api, "/v1/payment_intents", form)
    answer = told.answer
    error = answer.get("error")
    intent = answer if error is None else error.get("payment_intent")
    if as_json:
        document = {
            "status": told.status,
            "milliseconds": round(told.seconds * 1000, 1),
            "steps_ms": told.steps,
            "answer": answer,
        }
        click.echo(json.dumps(document, ensure_ascii=False, indent=2))
    elif isinstance(intent, dict):
        _show(intent, error, told)
    else:
        client.fail(client.explain_error(told.status, answer))
    if error is not None:
        sys.exit(2)


def _show(intent: dict[str, Any], error: dict[str, Any] | None, told: client.Told) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.tree import Tree

    from bailiwick.base.money import CURRENCIES, Money
    from bailiwick.cli import path_tree

    code = str(intent.get("currency", "")).upper()
    money = Money(int(intent.get("amount", 0)), code)
    shown = money.decimal() if code in CURRENCIES else str(money.amount)
    tree = Tree(
        f"[bold]{escape(str(intent.get('id')))}[/]  {shown} {escape(code)}  "
        f"[dim]answered in {told.seconds * 1000:.1f} ms[/]"
    )
    path_tree.located(tree, intent.get("location"), told.steps)
    path_tree.assigned(tree, intent.get("assignment"), told.steps, full=False)
    path_tree.routed(tree, intent.get("routing"), told.steps, full=False)
    path_tree.result(tree, intent, error, told.steps)
    Console(highlight=False).print(tree)
