"""Refunds read from the store."""

from collections.abc import Iterable
from typing import Any

import msgspec

from bailiwick.resources.refunds.rows import Refund
from bailiwick.store.database import Page, Part, Store, following


def refund_of(row: Iterable[Any]) -> Refund:
    """A refund from the columns of ``refund_find``, in order."""
    values = list(row)
    values[9] = msgspec.json.decode(values[9])
    return Refund(*values)


async def find(store: Store, identifier: str) -> Refund | None:
    """A refund by id."""
    row = await store.row("refund_find", identifier)
    return None if row is None else refund_of(row)


async def page(
    store: Store, merchant: str, livemode: bool, part: Page, payment: str | None
) -> Part[tuple[Refund, str | None]]:
    """A page of a merchant's refunds, of one payment or all, each with its payment's charge."""
    found = await store.page(
        "refund", merchant, livemode, part, payment, part.since_ms, part.until_ms
    )
    return [(refund_of(row[:-2]), row["charge"]) for row in found], following(found)
