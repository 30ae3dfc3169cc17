"""Commands that an operator gives on the databases of nodes: one by its DSN, or a demo's."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click

T = TypeVar("T")


def where(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say which databases."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print JSON."),
        click.option("--dsn", metavar="DSN", help="One node's database, instead of --data."),
        click.option(
            "--data", type=click.Path(path_type=Path, file_okay=False),
            default=Path("demo-data"), show_default=True, metavar="DIR",
            help="Folder of a running demo.",
        ),
    ):  # fmt: skip
        function = option(function)
    return function


def over_nodes(data: Path, dsn: str | None, work: Callable[[str, Any], Awaitable[T]]) -> list[T]:
    """Do something on each node's database. Exits with the remedy when one cannot be used."""
    import asyncpg

    from bailiwick.checker.places import PlaceError, from_folder

    async def each(node: str, dsn: str) -> T:
        connection = await asyncpg.connect(dsn, timeout=10)
        try:
            return await work(node, connection)
        finally:
            await connection.close()

    async def every(nodes: list[tuple[str, str]]) -> list[T]:
        return list(await asyncio.gather(*(each(*node) for node in nodes)))

    try:
        nodes = [("", dsn)] if dsn else [(n.name, n.dsn) for n in from_folder(data).nodes]
        return asyncio.run(every(nodes))
    except (PlaceError, OSError, TimeoutError, ValueError, asyncpg.PostgresError) as error:
        fail(str(error) or type(error).__name__)


def fail(message: str) -> NoReturn:
    """Say what is wrong, and end with status 1."""
    raise click.ClickException(message)
