"""``bailiwick migrate``: bring a node's database to this version's schema."""

from __future__ import annotations

import asyncio
import json
import sys

import click


@click.command("migrate")
@click.option("--dsn", required=True, envvar="BAILIWICK_DSN", help="The node's database.")
@click.option(
    "--node", required=True, type=click.IntRange(1, 65535), metavar="N",
    help="The node's permanent number; a database belongs to one node for ever.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(dsn: str, node: int, as_json: bool) -> None:
    """Bring a node's database to this version's schema, and claim it for its node.

    Safe to repeat and to run from several places at once: it takes a lock and applies only what
    is missing. A node does the same when it starts.
    """
    import asyncpg

    from bailiwick.store.migrate import MigrationError

    try:
        applied = asyncio.run(_migrate(dsn, node))
    except MigrationError as error:
        _fail(str(error), as_json)
    except (OSError, TimeoutError, ValueError, asyncpg.PostgresError) as error:
        _fail(f"the database cannot be used: {str(error) or type(error).__name__}", as_json)
    else:
        if as_json:
            click.echo(json.dumps({"node": node, "applied": applied}))
        elif applied:
            for name in applied:
                click.echo(f"applied {name}")
        else:
            click.echo("The schema is up to date.")


async def _migrate(dsn: str, node: int) -> list[str]:
    import asyncpg

    from bailiwick.store.migrate import migrate

    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        return await migrate(connection, node)
    finally:
        await connection.close()


def _fail(message: str, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"error": message}))
    else:
        click.echo(f"Error: {message}", err=True)
    sys.exit(1)
