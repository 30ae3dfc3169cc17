"""Commands that an operator gives on the databases of nodes: of a fleet, of a demo, or by DSN."""

from __future__ import annotations

import asyncio
import getpass
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click
import msgspec

T = TypeVar("T")


class Chosen(msgspec.Struct, frozen=True):
    """Databases by their nodes' names, and nodes that are known but not looked at."""

    nodes: dict[str, str]
    others: list[str]


def databases(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say which nodes' databases; ``chosen`` reads them."""
    for option in (
        click.option("--node", "names", multiple=True, metavar="NAME",
                     help="Only this node of the fleet; repeatable."),
        click.option("--dsn", "dsns", multiple=True, metavar="DSN",
                     help="Nodes' databases, instead of either; repeatable."),
        click.option("--data", type=click.Path(file_okay=False, path_type=Path), metavar="DIR",
                     help="A running demo's folder, instead of --fleet; without: demo-data."),
        click.option("--fleet", "fleet_file", type=click.Path(dir_okay=False, path_type=Path),
                     metavar="FILE", envvar="BAILIWICK_FLEET",
                     help="The fleet file: databases."),
    ):  # fmt: skip
        function = option(function)
    return function


def agreed(verb: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The options of a command that cannot be undone; ``verb``: what has happened then."""

    def options(function: Callable[..., Any]) -> Callable[..., Any]:
        for option in (
            click.option("--json", "as_json", is_flag=True, help="Print one JSON document."),
            click.option("--yes", is_flag=True, help="Do not ask."),
            click.option("--preview", "--dry-run", "preview", is_flag=True,
                         help=f"Only say what would be {verb}."),
            click.option("--by", metavar="WHO",
                         help="Who asks for it, kept with it; you, by default."),
        ):  # fmt: skip
            function = option(function)
        return function

    return options


def carried_out(
    work: Coroutine[Any, Any, dict[str, Any]], refused: type[Exception], verb: str
) -> dict[str, Any]:
    """Run a command that cannot be undone. Exits with the remedy where it is ``refused``, or a
    database cannot be used; ``verb``: what has happened to what is done by then."""
    import asyncpg

    from bailiwick.runtime.database_errors import DATABASE_ERRORS

    try:
        return asyncio.run(work)
    except refused as error:
        fail(str(error))
    except asyncpg.UndefinedTableError as error:
        fail(f"{error}: run 'bailiwick migrate'")
    except (*DATABASE_ERRORS, ValueError) as error:
        fail(f"{str(error) or type(error).__name__}: what was {verb} stays so; repeat the command")


def chosen(
    fleet_file: Path | None, data: Path | None, dsns: tuple[str, ...], names: tuple[str, ...]
) -> Chosen:
    """The databases that are meant. Exits with the remedy where they cannot be told."""
    from bailiwick.control import fleet
    from bailiwick.control.plans import ControlError

    if dsns:
        if names or data:
            fail("--dsn names databases by themselves: leave out --node and --data")
        return Chosen({f"database {n}": dsn for n, dsn in enumerate(dsns, 1)}, [])
    try:
        if fleet_file is not None and data is None:
            known = fleet.load(fleet_file)
        else:
            known = fleet.of_demo((data or Path("demo-data")).absolute())
        for name in names:
            known.node(name)
    except ControlError as error:
        fail(str(error))
    wanted = {name: each.dsn for name, each in known.nodes.items() if not names or name in names}
    return Chosen(wanted, [name for name in known.nodes if name not in wanted])


def user() -> str:
    """Who gives the command, by the name that the system knows."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "operator"


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
