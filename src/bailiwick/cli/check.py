"""``bailiwick check``: every money invariant over all nodes and the providers' books."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import click


@click.command("check")
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("demo-data"),
    show_default=True,
    metavar="DIR",
    help="Folder of a running demo: gives databases and books.",
)
@click.option(
    "--dsn", "dsns", multiple=True, metavar="NAME=DSN",
    help="A node's database, instead of --data; once for every node.",
)  # fmt: skip
@click.option("--books", metavar="URL", help="The sandbox's /books, with --dsn.")
@click.option(
    "--wait", "wait_s", type=click.FloatRange(min=0), metavar="SECONDS",
    help="Let open attempts end for so long; what is still undecided then is a violation.",
)  # fmt: skip
@click.option(
    "--sink", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
    help="What a webhook receiver got: one event a line.",
)  # fmt: skip
@click.option(
    "--history", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
    help="What clients were told: {key, operation, status: ok|fail|in_doubt, payment} a line.",
)  # fmt: skip
@click.option("--seed", metavar="TEXT", help="Seed of the run, kept in the verdict.")
@click.option(
    "--reviews-max-share", type=click.FloatRange(0, 1), metavar="SHARE",
    help="More reviews per payment than this are a violation.",
)  # fmt: skip
@click.option(
    "--clock-skew", "skew_s", type=click.FloatRange(min=0), default=5.0, show_default=True,
    metavar="SECONDS", help="How far the clocks of providers and databases may be apart.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(
    data: Path,
    dsns: tuple[str, ...],
    books: str | None,
    wait_s: float | None,
    sink: Path | None,
    history: Path | None,
    seed: str | None,
    reviews_max_share: float | None,
    skew_s: float,
    as_json: bool,
) -> None:
    """Check every money invariant, independently of the nodes: by DSN and HTTP only.

    Without violations the status is 0, with any it is 1, and 2 when something cannot be read.
    """
    from bailiwick.checker import places
    from bailiwick.checker.run import Wanted, check, document

    if bool(dsns) != bool(books):
        raise click.UsageError("--dsn and --books go together: name every node and the books")
    try:
        where = places.named(dsns, books) if dsns and books else places.from_folder(data)
        wanted = Wanted(where, wait_s, sink, history, seed, reviews_max_share, round(skew_s * 1000))
        verdict = document(wanted, asyncio.run(check(wanted)))
    except places.PlaceError as error:
        if as_json:
            click.echo(json.dumps({"ok": False, "error": str(error)}))
        else:
            click.echo(f"Error: {error}", err=True)
        sys.exit(2)
    if as_json:
        click.echo(json.dumps(verdict, ensure_ascii=False, indent=2))
    else:
        _show(verdict)
    if not verdict["ok"]:
        sys.exit(1)


def _show(verdict: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(highlight=False, soft_wrap=True)
    table = Table("Invariant", "Compared", "Violations", box=None, pad_edge=False)
    table.columns[1].justify = table.columns[2].justify = "right"
    for each in verdict["invariants"]:
        count = f"[bold red]{each['count']}[/]" if each["count"] else "[green]0[/]"
        table.add_row(each["name"], str(each["compared"]), count)
    console.print(table)
    for each in verdict["invariants"]:
        if each["count"]:
            console.print(f"\n[bold red]{each['name']}[/]: {escape(each['rule'])}")
        for one in each["violations"]:
            at = f" ({one['node']})" if one["node"] else ""
            console.print(f"  {escape(one['id'])}{at}: {escape(one['wrong'])}")
        if each["count"] > len(each["violations"]):
            console.print(f"  and {each['count'] - len(each['violations'])} more")
    console.print()
    _show_open(console, verdict)
    facts = [
        f"{verdict['payments']} payments, {verdict['attempts']} attempts",
        f"{len(verdict['nodes'])} nodes",
        f"{verdict['reviews']} reviews ({verdict['reviews_share']:.2%})",
        f"{verdict['seconds']:.1f} s",
    ]
    if verdict["attempts_without_books"]:
        facts.append(f"{verdict['attempts_without_books']} attempts at providers without books")
    if verdict["seed"]:
        facts.append(f"seed {escape(verdict['seed'])}")
    if verdict["commit"]:
        facts.append(f"commit {verdict['commit'][:12]}")
    console.print("; ".join(facts))
    if not verdict["payments"]:
        console.print("There are no payments: nothing was proved.")
    wrong = verdict["violations"]
    console.print(f"[bold red]{wrong} violations[/]" if wrong else "[bold green]No violation.[/]")


def _show_open(console: Any, verdict: dict[str, Any]) -> None:
    attempts, reviews = verdict["open_attempts"], verdict["open_reviews"]
    if attempts:
        console.print(f"{len(attempts)} open attempts:")
    for each in attempts[:20]:
        console.print(
            f"  {each['id']} ({each['node']}): {each['operation']} at {each['gateway']}, "
            f"{each['state']}, {each['age_s']} s old{', in review' if each['reviewed'] else ''}"
        )
    if reviews:
        console.print(f"{len(reviews)} open reviews; see 'bailiwick reviews'")
