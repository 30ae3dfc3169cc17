"""Forward-only schema migrations under an advisory lock."""

import contextlib
import hashlib
from collections.abc import AsyncIterator

import asyncpg

from bailiwick.store.statements import migrations

_LOCK = 0x6261696C6977  # "bailiw": any constant, the same in every version
_TABLE = """
CREATE TABLE IF NOT EXISTS schema_migration (
    name text PRIMARY KEY, sha256 text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())
"""


class MigrationError(Exception):
    """The database does not fit this program; the message says what to do."""


async def migrate(connection: asyncpg.Connection, node: int) -> list[str]:
    """Bring a database to this program's schema and claim it for a node number.

    Returns:
        The names of the migrations applied now.

    Raises:
        MigrationError: an applied migration differs from ours, or the database is another node's.
    """
    async with _locked(connection):
        applied = await _apply(connection, migrations())
        owner = await connection.fetchval(
            "INSERT INTO fence (node) VALUES ($1) ON CONFLICT (singleton)"
            " DO UPDATE SET node = fence.node RETURNING node",
            node,
        )
    if owner != node:
        raise MigrationError(
            f"this database belongs to node {owner}, not to node {node}: check the DSN"
        )
    return applied


async def migrate_with(connection: asyncpg.Connection, files: list[tuple[str, str]]) -> list[str]:
    """Bring a database that is no node's to the schema of ``files`` (name and text, in order).

    Raises:
        MigrationError: an applied migration differs from ours, or it is another schema's.
    """
    async with _locked(connection):
        await connection.execute(_TABLE)
        names = {row[0] for row in await connection.fetch("SELECT name FROM schema_migration")}
        strange = sorted(names - {name for name, _ in files})
        if strange:
            raise MigrationError(
                f"this database is used for something else or by a newer version (it has "
                f"{strange[0]}): give an empty database of its own"
            )
        return await _apply(connection, files)


@contextlib.asynccontextmanager
async def _locked(connection: asyncpg.Connection) -> AsyncIterator[None]:
    await connection.execute("SELECT pg_advisory_lock($1)", _LOCK)
    try:
        yield
    finally:
        await connection.execute("SELECT pg_advisory_unlock($1)", _LOCK)


async def _apply(connection: asyncpg.Connection, files: list[tuple[str, str]]) -> list[str]:
    await connection.execute(_TABLE)
    rows = await connection.fetch("SELECT name, sha256 FROM schema_migration")
    known: dict[str, str] = {row["name"]: row["sha256"] for row in rows}
    applied = []
    for name, text in files:
        digest = hashlib.sha256(text.encode()).hexdigest()
        if name in known:
            if known[name] != digest:
                raise MigrationError(
                    f"migration {name} was applied in another form: use the program version "
                    "that made this database, or restore the file"
                )
            continue
        async with connection.transaction():
            await connection.execute(text)
            await connection.execute(
                "INSERT INTO schema_migration (name, sha256) VALUES ($1, $2)", name, digest
            )
        applied.append(name)
    return applied
