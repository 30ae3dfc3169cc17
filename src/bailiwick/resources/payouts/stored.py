"""Payouts, and what is there to be paid out, read from the store."""

from collections.abc import Iterable
from typing import Any

import msgspec

from bailiwick.resources.payouts.rows import Payout
from bailiwick.store.database import Page, Part, Store, following

_payout = msgspec.json.Decoder(Payout)


async def find(store: Store, identifier: str) -> Payout | None:
    """A payout by id, whoever owns it: the caller checks the merchant."""
    row = await store.sure_row("payout_find", identifier)
    return None if row is None else payout_of(row)


async def page(
    store: Store,
    merchant: str,
    livemode: bool,
    part: Page,
    *,
    status: str | None,
    destination: str | None,
) -> Part[Payout]:
    """A page of a merchant's payouts, in one status and to one destination, or all."""
    found = await store.page(
        "payout", merchant, livemode, part, part.since_ms, part.until_ms, status, destination
    )
    return [payout_of(row[:-1]) for row in found], following(found)


async def room(store: Store, merchant: str, livemode: bool, currency: str) -> dict[str, int]:
    """What each gateway holds of a merchant's money, less what is on its way: minor units."""
    rows = await store.list_rows("payout_room", merchant, livemode, currency)
    return {row["gateway"]: row["amount"] for row in rows}


def payout_of(row: Iterable[Any]) -> Payout:
    """A payout from the columns of ``payout_find``, in order."""
    values = list(row)
    described = content_of(values[10])
    values[10:11] = [described.details, described.progress]
    return Payout(*values)


def content_of(content: str) -> Payout:
    """The payout as it was when its content was written; the columns have moved on."""
    return _payout.decode(content)
