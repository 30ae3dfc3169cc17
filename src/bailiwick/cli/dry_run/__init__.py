"""`bailiwick dry-run`: a node's past payments, routed by other rules."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

SHOWN_MAX = 12
BATCH = 2_000
SIGNIFICANT = 0.05
_DATE = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"])


@click.command("dry-run")
@click.option(
    "--config", type=click.Path(exists=True, dir_okay=False, path_type=Path), required=True,
    help="The node's settings: its database, world and gateways.",
)  # fmt: skip
@click.option(
    "--rules", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="FILE",
    help="A routing.toml; by default the rules in force.",
)  # fmt: skip
@click.option("--since", type=_DATE, help="Payments made from then on (UTC); by default all.")
@click.option("--until", type=_DATE, help="And before then.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(
    config: Path,
    rules: Path | None,
    since: datetime | None,
    until: datetime | None,
    as_json: bool,
) -> None:
    """Route a node's past payments by other rules, and compare: what would have gone where, at
    which cost, and how much would probably have succeeded. Nothing is sent or written.

    \b
    bailiwick dry-run --config node.toml --rules routing.toml --since 2026-11-01
    """
    import asyncpg

    from bailiwick.runtime.settings import SettingsError
    from bailiwick.topology.reading import WorldError

    try:
        found = asyncio.run(_run(config, rules, _ms(since, 0), _ms(until, 2**62)))
    except (SettingsError, WorldError, OSError, asyncpg.PostgresError, ValueError) as error:
        for line in getattr(error, "problems", None) or [str(error) or type(error).__name__]:
            click.echo(f"problem: {line}", err=True)
        sys.exit(1)
    click.echo(json.dumps(found, indent=2) if as_json else "\n".join(_lines(found)))


def _ms(at: datetime | None, otherwise: int) -> int:
    return otherwise if at is None else int(at.replace(tzinfo=UTC).timestamp() * 1000)


async def _run(config: Path, rules: Path | None, since: int, until: int) -> dict[str, Any]:
    from bailiwick.channels.registry import channel
    from bailiwick.node.config import NodeSettings
    from bailiwick.routing.declared import constant_facts, profile_at
    from bailiwick.routing.strategies.dry_run import DryRun
    from bailiwick.runtime import settings
    from bailiwick.topology.epochs import world_in_force
    from bailiwick.topology.routes import reading

    node = settings.read(config, NodeSettings)
    base = config.resolve().parent
    trust = base / node.world_trust if node.world_trust else None
    world = world_in_force(base / node.world, trust)
    table = world.routing
    if rules is not None:
        table = reading.parse(
            rules.read_bytes(), merchants=world.merchants.by_id, groups=world.topology.groups,
            file=rules.name,
        )  # fmt: skip
    gateways = [
        constant_facts(each, profile_at(channel(each.channel).profile, each))
        for each in node.gateways
    ]
    strategies = {each.id: each.strategy for each in world.merchants.all}
    run = DryRun(gateways, table)
    await _payments(node.dsn, since, until, lambda row: _add(run, row, strategies))
    return run.report()


def _add(run: Any, row: Any, strategies: dict[str, Any]) -> None:
    import msgspec

    from bailiwick.resources.payments.charging import wanted
    from bailiwick.resources.payments.stored import payment_of

    *columns, charges = row
    if not charges:
        return
    payment = payment_of(columns)
    wish = wanted(payment, strategies.get(payment.merchant, "priority"))
    if wish.facts is not None:
        facts = msgspec.structs.replace(wish.facts, at_ms=payment.created_ms)
        wish = msgspec.structs.replace(wish, facts=facts)
    attempts = [each.rpartition(" ") for each in charges]
    met = (payment.progress.routing or {}).get("rule")
    run.add(wish, [(gateway, state == "approved") for gateway, _, state in attempts], met)


async def _payments(dsn: str, since: int, until: int, each: Callable[[Any], None]) -> None:
    """Hand over the payments as they were at one moment, with a progress bar on a terminal."""
    import asyncpg
    from rich.console import Console
    from rich.progress import Progress

    from bailiwick.store.statements import statement

    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            count = "SELECT count(*) FROM payment WHERE attempts > 0 AND created_ms >= $1"
            total = await connection.fetchval(f"{count} AND created_ms < $2", since, until)
            with Progress(console=Console(stderr=True), transient=True) as progress:
                task = progress.add_task("payments", total=total)
                rows, past = 0, statement("payments_past")
                async for row in connection.cursor(past, since, until, prefetch=BATCH):
                    each(row)
                    rows += 1
                    if rows % BATCH == 0:
                        progress.update(task, completed=rows)
    finally:
        await connection.close()


def _lines(found: dict[str, Any]) -> list[str]:
    told = [f"{found['payments']} payments; {found['moved']} would go to another gateway first."]
    moves = found["moves"]
    told += [
        f"  {each['payments']} from {each['from']} to {each['to']}" for each in moves[:SHOWN_MAX]
    ]
    if len(moves) > SHOWN_MAX:
        told.append(f"  and {len(moves) - SHOWN_MAX} moves more")
    told += [f"Rule {name}: {count} payments." for name, count in found["rules"].items()]
    for side, name in (("before", "As they went"), ("after", "By these rules")):
        of = found[side]
        money = ", ".join(f"{cost:.2f} {code}" for code, cost in of["cost"].items())
        success = of["success"]
        told.append(
            f"{name}: cost {money or 'nothing'} (minor units); "
            + ("no success known" if success is None else f"{success:.2%} succeed at first")
            + f" (known of {of['success_known_of']:.0%})"
        )
    return told + _in_fact(found["in_fact"])


def _in_fact(found: dict[str, Any]) -> list[str]:
    """What came of the rules that were in force."""
    told = [
        f"In fact, under rule {name}: {of['success']:.2%} of {of['payments']} succeeded at first "
        f"({of['from']:.2%} to {of['to']:.2%})"
        for name, of in found["rules"].items()
    ]
    for pair in found["pairs"]:
        one, other = pair["rules"]
        sure = "more than chance explains" if pair["p"] < SIGNIFICANT else "no more than chance may"
        points = f"{pair['difference'] * 100:+.2f} points, p = {pair['p']:.4f}"
        told.append(f"{one} against {other}: {points}: {sure}")
    return told
