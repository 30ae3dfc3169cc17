"""What operators have said of gateways, as it is stored."""

from typing import Any

import asyncpg
import msgspec

from bailiwick.base.errors import ApiError
from bailiwick.base.objects import text
from bailiwick.node.gateways.envelope import Sealed
from bailiwick.routing.settings import State
from bailiwick.store.database import Store
from bailiwick.store.statements import statement


class GatewayRow(msgspec.Struct, frozen=True):
    """What is said of one gateway.

    Attributes:
        version: 0: nothing was said yet.
        added: it is in no settings file: ``settings`` has all that is said of it.
        settings: fields of ``GatewaySettings`` over those of the file; no secrets.
    """

    name: str
    version: int = 0
    state: State = "enabled"
    added: bool = False
    settings: dict[str, Any] = {}
    sealed: Sealed | None = None
    changed_ms: int = 0


class GatewayChange(msgspec.Struct, frozen=True):
    """One line of the record: who did what."""

    version: int
    what: str
    by: str
    details: dict[str, Any]
    at_ms: int


async def read(store: Store) -> dict[str, GatewayRow]:
    """All rows, by name."""
    found = {}
    for row in await store.rows("gateway_rows"):
        sealed = None if row[5] is None else Sealed(row[5], row[6], row[7])
        settings = msgspec.json.decode(row[4])
        found[row[0]] = GatewayRow(row[0], row[1], row[2], row[3], settings, sealed, row[8])
    return found


async def write(
    store: Store, row: GatewayRow, what: str, by: str, details: dict[str, Any]
) -> GatewayRow:
    """Write a row as it is to be; ``row.version``: as it was read.

    Raises:
        ApiError: 409, it was changed meanwhile, or the node is fenced.
        DATABASE_ERRORS: whether it was written is not known; nothing else was.
    """
    written = await store.row("gateway_put", *_arguments(row, what, by, details), store.epoch())
    return _next(row, written)


async def rewrite(
    store: Store, rows: list[GatewayRow], what: str, by: str, details: dict[str, Any]
) -> list[GatewayRow]:
    """The same for several, all or none."""
    done = []
    async with store.transaction() as connection:
        for row in rows:
            arguments = _arguments(row, what, by, details)
            put = statement("gateway_put")
            done.append(_next(row, await connection.fetchrow(put, *arguments, store.epoch())))
    return done


async def changes(store: Store, name: str, most: int) -> list[GatewayChange]:
    """The latest of a gateway, the newest first."""
    return [
        GatewayChange(row[0], row[1], row[2], msgspec.json.decode(row[3]), row[4])
        for row in await store.rows("gateway_changes", name, most)
    ]


async def open_attempts(store: Store) -> dict[str, int]:
    """How many attempts have no definite outcome yet, by gateway."""
    return {row[0]: row[1] for row in await store.rows("gateway_open")}


def _arguments(row: GatewayRow, what: str, by: str, details: dict[str, Any]) -> tuple[Any, ...]:
    sealed = row.sealed
    return (
        row.name,
        row.version,
        row.state,
        row.added,
        text(row.settings),
        None if sealed is None else sealed.node_key,
        None if sealed is None else sealed.wrapped_key,
        None if sealed is None else sealed.credentials,
        what,
        by,
        text(details),
    )


def _next(row: GatewayRow, written: asyncpg.Record | None) -> GatewayRow:
    if written is None:
        raise stale(row.name)
    return msgspec.structs.replace(row, version=written["version"])


def stale(name: str) -> ApiError:
    """Somebody else was first."""
    return ApiError.conflict(
        f"Gateway '{name}' was changed since you looked, or the node is fenced. Look again with: "
        "bailiwick node gateways show",
        code="gateway_changed",
    )
