"""Disputes read from the store."""

from collections.abc import Iterable
from typing import Any

import msgspec

from bailiwick.resources.disputes.rows import Details, Dispute
from bailiwick.resources.disputes.states import State
from bailiwick.store.database import Page, Part, Store, following

_details = msgspec.json.Decoder(Details).decode


def dispute_of(row: Iterable[Any]) -> Dispute:
    """A dispute from the columns of ``dispute_find``, in order."""
    values = list(row)
    values[7] = State(values[7])
    values[16] = _details(values[16])
    return Dispute(*values)


async def find(store: Store, identifier: str) -> Dispute | None:
    """A dispute by id."""
    row = await store.sure_row("dispute_find", identifier)
    return None if row is None else dispute_of(row)


async def told_by(store: Store, gateway: str, provider_ref: str) -> Dispute | None:
    """A dispute by its provider's id of it."""
    row = await store.sure_row("dispute_told", gateway, provider_ref)
    return None if row is None else dispute_of(row)


async def page(
    store: Store,
    merchant: str,
    livemode: bool,
    part: Page,
    payment: str | None,
    charge: str | None,
) -> Part[Dispute]:
    """A page of a merchant's disputes, of one payment or charge or all."""
    found = await store.page(
        "dispute", merchant, livemode, part, payment, charge, part.since_ms, part.until_ms
    )
    return [dispute_of(row[:-1]) for row in found], following(found)
