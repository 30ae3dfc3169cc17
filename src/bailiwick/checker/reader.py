"""One node's database, seen in one snapshot."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from bailiwick.checker.findings import SHOWN_MAX, Found
from bailiwick.checker.places import NodePlace, PlaceError

_PREFETCH = 2_000


class Reader:
    """Reads within one REPEATABLE READ transaction: all answers are of one moment.

    Attributes:
        node: the node's name.
        taken_ms: when the snapshot was taken, by the database's clock.
    """

    def __init__(self, node: NodePlace, connection: asyncpg.Connection, taken_ms: int) -> None:
        self.node = node.name
        self.place = node
        self.taken_ms = taken_ms
        self._connection = connection

    async def number(self, sql: str, *args: object) -> int:
        """One number."""
        return int(await self._connection.fetchval(sql, *args) or 0)

    async def rows(self, sql: str, *args: object) -> list[asyncpg.Record]:
        """All rows of a short answer."""
        return await self._connection.fetch(sql, *args)

    def stream(self, sql: str) -> AsyncIterator[Any]:
        """Rows of a long answer, a few thousand in memory at a time."""
        found: AsyncIterator[Any] = self._connection.cursor(sql, prefetch=_PREFETCH).__aiter__()
        return found

    async def compare(self, found: Found, sql: str) -> None:
        """Count the rows that an invariant compares."""
        found.compare(await self.number(sql))

    async def broken(self, found: Found, sql: str) -> None:
        """Note the rows of a query for violations: ``id`` and ``wrong``, both text."""
        rows = await self.rows(
            f"WITH v (id, wrong) AS MATERIALIZED ({sql}) "
            f"SELECT id, wrong, (SELECT count(*) FROM v) AS total FROM v LIMIT {SHOWN_MAX}"
        )
        for row in rows:
            found.broken(self.node, row["id"], row["wrong"])
        if rows:
            found.count += rows[0]["total"] - len(rows)


@asynccontextmanager
async def snapshot(node: NodePlace) -> AsyncIterator[Reader]:
    """A read-only snapshot of a node's database. Raises PlaceError."""
    try:
        connection = await asyncpg.connect(
            node.dsn,
            timeout=10,
            server_settings={"application_name": "bailiwick-check", "jit": "off"},
        )
    except (OSError, TimeoutError, ValueError, asyncpg.PostgresError) as error:
        raise PlaceError(
            f"the database of node {node.name} cannot be reached "
            f"({str(error) or type(error).__name__})"
        ) from None
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            await connection.execute("SET LOCAL statement_timeout = 0; SET LOCAL work_mem = '64MB'")
            taken_ms = await connection.fetchval(
                "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint"
            )
            yield Reader(node, connection, taken_ms)
    except asyncpg.UndefinedTableError as error:
        raise PlaceError(
            f"the database of node {node.name} has not this version's schema ({error}): "
            "run 'bailiwick migrate'"
        ) from None
    except asyncpg.UndefinedColumnError as error:
        raise PlaceError(
            f"the database of node {node.name} has another version's schema ({error})"
        ) from None
    finally:
        await connection.close(timeout=10)
