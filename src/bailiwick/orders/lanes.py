"""The lanes that write orders of one kind."""

from collections.abc import Sequence

import asyncpg

from bailiwick.orders.rows import OrderCreate, OrderMove
from bailiwick.orders.table import OrderTable
from bailiwick.store.database import LaneSpec, tokens


def lanes(table: OrderTable, parts: Sequence[str] = ()) -> tuple[LaneSpec, LaneSpec]:
    """The lanes that write a table; ``parts``: see ``OrderTable.move_sql``."""
    return (
        LaneSpec(
            table.create_lane,
            table.create_sql(),
            _verify_creates,
            seldom=("endpoints", "more") if table.records else ("endpoints",),
        ),
        LaneSpec(
            table.move_lane,
            table.move_sql(parts),
            _verify_moves,
            inserts_only=False,
            seldom=("endpoints", "more"),
        ),
    )


async def _verify_creates(connection: asyncpg.Connection, rows: list[OrderCreate]) -> set[int]:
    return await tokens(connection, "verify_keys", [row.identity for row in rows])


async def _verify_moves(connection: asyncpg.Connection, rows: list[OrderMove]) -> set[int]:
    ids, versions = [row.id for row in rows], [row.expected_version + 1 for row in rows]
    return await tokens(connection, "verify_move", ids, versions)
