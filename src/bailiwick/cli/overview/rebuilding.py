"""Hold the overview against the nodes' outboxes, and have it filled again from them."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from bailiwick.cli.overview.asking import get, target, where

T = TypeVar("T")
_POLL_S = 0.2

_dsns = click.option(
    "--dsn", "dsns", multiple=True, metavar="NAME=DSN",
    help="A node's database, instead of --data; once for every node.",
)  # fmt: skip


def _over_nodes(
    data: Path, dsns: tuple[str, ...], work: Callable[[str, Any], Awaitable[T]]
) -> list[T]:
    """Do something on each node's database. Raises ClickException when one cannot be used."""
    import asyncpg

    from bailiwick.checker.places import PlaceError, from_folder, named

    async def each(name: str, dsn: str) -> T:
        connection = await asyncpg.connect(dsn, timeout=10)
        try:
            return await work(name, connection)
        finally:
            await connection.close()

    async def every(nodes: list[Any]) -> list[T]:
        return list(await asyncio.gather(*(each(node.name, node.dsn) for node in nodes)))

    try:
        places = named(dsns, "") if dsns else from_folder(data)
        return asyncio.run(every(places.nodes))
    except (PlaceError, OSError, TimeoutError, ValueError, asyncpg.PostgresError) as error:
        raise click.ClickException(str(error) or type(error).__name__) from None


async def _rewind(name: str, connection: Any) -> dict[str, Any]:
    from bailiwick.delivery.relay import CONSUMER
    from bailiwick.store.statements import statement

    done = await connection.execute(statement("relay_rewind"), CONSUMER)
    waiting = await connection.fetchval("SELECT count(*) FROM event WHERE subject ^@ 'pi_'")
    return {"node": name, "events": waiting, "relay": done == "UPDATE 1"}


async def _going(name: str, connection: Any) -> bool:
    """Whether a relay still goes through everything."""
    from bailiwick.delivery.relay import CONSUMER
    from bailiwick.store.statements import statement

    row = await connection.fetchrow(statement("relay_find"), CONSUMER)
    return row is not None and bool(row["sweeping"])


@click.command("rebuild")
@click.option(
    "--data", type=click.Path(path_type=Path, file_okay=False),
    default=Path("demo-data"), show_default=True, metavar="DIR",
    help="Folder of a running demo: gives the databases.",
)  # fmt: skip
@_dsns
@click.option(
    "--wait", "wait_s", type=click.FloatRange(min=0), default=0.0, metavar="SECONDS",
    help="Wait so long at most until every relay has sent all.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def rebuild(data: Path, dsns: tuple[str, ...], wait_s: float, as_json: bool) -> None:
    """Have every node's relay send all events again, from the beginning of its outbox.

    Safe at any time: what the overview has already changes nothing.
    """
    found = _over_nodes(data, dsns, _rewind)
    idle = [each["node"] for each in found if not each["relay"]]
    deadline = time.monotonic() + wait_s
    going = True
    while wait_s and going and time.monotonic() < deadline:
        going = any(_over_nodes(data, dsns, _going))
        if going:
            time.sleep(_POLL_S)
    if as_json:
        click.echo(json.dumps({"nodes": found, "done": bool(wait_s) and not going}))
    else:
        for each in found:
            click.echo(f"{each['node']}: {each['events']} events to send again")
    if idle:
        raise click.ClickException(
            f"{', '.join(idle)} never had a relay: set 'nats' and 'events = true' in node.toml and "
            "start the node; "
            "it begins at the beginning"
        )
    if wait_s and going:
        raise click.ClickException(
            f"not done after {wait_s:g} s: 'bailiwick overview lag' shows how far it is"
        )
    if wait_s and not as_json:
        click.echo("Every relay has sent all.")


async def _count(name: str, connection: Any) -> dict[str, Any]:
    row = await connection.fetchrow(
        "SELECT (SELECT node FROM fence) AS number, (SELECT count(*) FROM event"
        " WHERE subject ^@ 'pi_') AS events,"
        " (SELECT count(*) FROM payment) AS payments"
    )
    return {"node": name, **dict(row)}


@click.command("compare")
@where
@_dsns
def compare(
    data: Path,
    url: str | None,
    token_file: Path | None,
    as_json: bool,
    dsns: tuple[str, ...],
) -> None:
    """Compare how many events each outbox has with how many the overview has.

    The outboxes are counted first: on a busy system the overview may be ahead of the count.
    """
    rows = _over_nodes(data, dsns, _count)
    told = {
        row["node"]: row for row in get(target(data, url, token_file), "/overview/lag")["nodes"]
    }
    for row in rows:
        known = told.get(row["number"], {})
        row["overview"] = known.get("events", 0)
        row["missing"] = max(0, row["events"] - row["overview"])
        row["gaps"] = known.get("gaps", 0)
    missing = sum(row["missing"] for row in rows)
    if as_json:
        click.echo(json.dumps({"missing": missing, "nodes": rows}))
    else:
        for row in rows:
            click.echo(
                f"{row['node']}: {row['events']} events in the outbox, {row['overview']} here, "
                f"{row['missing']} missing"
            )
    if missing:
        raise click.ClickException(
            "wait until the relays have caught up ('bailiwick overview lag'); what is still "
            "missing then comes with 'bailiwick overview rebuild'"
        )
