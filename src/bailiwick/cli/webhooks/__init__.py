"""``bailiwick webhooks``: what an operator does about deliveries to merchants."""

from __future__ import annotations

import json
from pathlib import Path

import click

from bailiwick.cli.over_nodes import fail, over_nodes, where


@click.group("webhooks")
def command() -> None:
    """Look after the deliveries of events to merchants' webhook endpoints."""


@command.command()
@where
@click.option("--endpoint", required=True, metavar="ID", help="The webhook endpoint: we_...")
@click.option(
    "--since", required=True, metavar="TIME",
    help="Events from then on: 2026-11-29T10:00Z, or 90m, 36h, 3d ago.",
)  # fmt: skip
@click.option("--until", metavar="TIME", help="Events up to then; by default up to now.")
@click.option(
    "--type", "types", multiple=True, metavar="NAME",
    help="Only events of this type, or group of types (refund.*); may be repeated. By default "
    "those that the endpoint is enabled for.",
)  # fmt: skip
@click.option("--failed", is_flag=True, help="Only what was given up, not what was delivered.")
@click.option("--dry-run", is_flag=True, help="Count, and send nothing.")
def resend(
    data: Path,
    dsn: str | None,
    as_json: bool,
    endpoint: str,
    since: str,
    until: str | None,
    types: tuple[str, ...],
    failed: bool,
    dry_run: bool,
) -> None:
    """Send a merchant's events to one of its endpoints again, the oldest first.

    What is still owed is left as it is. The nodes deliver it as they deliver everything: signed
    anew, tried again for three days, and each try is kept beside those of before.
    """
    from bailiwick.cli.webhooks.resending import Refused, Wanted, resend_at

    try:
        wanted = Wanted.of(endpoint, since, until, types, failed=failed)
    except Refused as refused:
        fail(str(refused))
    try:
        told = over_nodes(data, dsn, lambda node, db: resend_at(node, db, wanted, dry_run=dry_run))
    except Refused as refused:
        fail(str(refused))
    total = sum(each.events for each in told)
    if as_json:
        nodes = [{"node": each.node, "events": each.events} for each in told]
        click.echo(json.dumps({"events": total, "dry_run": dry_run, "nodes": nodes}))
        return
    for each in told:
        if each.node:
            click.echo(f"{each.node}: {each.events}")
    click.echo(f"{total} events {'would be' if dry_run else 'are'} sent again to {endpoint}.")
