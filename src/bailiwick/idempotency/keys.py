"""Stored idempotency keys: claimed with their effect in one commit, or refused for ever."""

import asyncpg

from bailiwick.idempotency.rows import Refuse, StoredKey
from bailiwick.store.database import LaneSpec, Store, tokens
from bailiwick.store.statements import statement

REFUSE = "refuse"
"""The lane that writes tombstones."""


async def find(store: Store, identity: str) -> StoredKey | None:
    """A claimed or refused idempotency key, by its identity (``key_identity``)."""
    row = await store.sure_row("key_find", identity)
    return None if row is None else StoredKey(*row)


async def _verify(connection: asyncpg.Connection, rows: list[Refuse]) -> set[int]:
    return await tokens(
        connection, "verify_keys", [each for row in rows for each in row.identities]
    )


def lane() -> LaneSpec:
    """The lane of tombstones: shedding does not wait for payments, nor they for it."""
    return LaneSpec(REFUSE, statement("key_refuse"), _verify)
