"""Attempts in the store: found, claimed when they are due, looked for when they were forgotten."""

import asyncpg
import msgspec

from bailiwick.orders.attempts import Attempt
from bailiwick.store.database import Store


def attempt_of(row: asyncpg.Record) -> Attempt:
    """An attempt from the columns of ``attempt_find``, in order."""
    values = list(row)
    values[12] = msgspec.Raw(values[12].encode())
    values[14] = None if values[14] is None else msgspec.Raw(values[14].encode())
    return Attempt(*values)


async def find(store: Store, identifier: str) -> Attempt | None:
    """An attempt by id."""
    row = await store.sure_row("attempt_find", identifier)
    return None if row is None else attempt_of(row)


async def of(store: Store, subject: str) -> list[Attempt]:
    """All attempts of an order, in order."""
    return [attempt_of(row) for row in await store.rows("attempts_of", subject)]


async def named(store: Store, gateways: list[str], provider_ref: str) -> list[Attempt]:
    """Attempts by the provider's id of their object, where ids are kept so
    (``Profile.callbacks_by_id``), in order."""
    rows = await store.rows("attempts_named", gateways, provider_ref)
    return [attempt_of(row) for row in rows]


async def due(store: Store, limit: int, lease_ms: int) -> list[Attempt]:
    """Claim open attempts that are due for a look."""
    rows = await store.rows("attempts_due", limit, lease_ms, store.epoch())
    return [attempt_of(row) for row in rows]


async def sweep(store: Store, expired_ms: int) -> list[str]:
    """Have the resolver look at attempts permitted longer ago than that and ended by nobody:
    their ids. Nothing that was found before, or has ended, is looked through again."""
    bounds = await store.row("sweep_bounds", expired_ms)
    assert bounds is not None, "migrated databases have exactly one sweep row"
    await store.rows("attempts_summarize")
    since, until = bounds
    found = await store.rows("attempts_forgotten", since, expired_ms, store.epoch(), until)
    return [row[0] for row in found]
