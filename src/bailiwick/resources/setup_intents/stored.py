"""Setups read from the store."""

from collections.abc import Iterable
from typing import Any

import msgspec

from bailiwick.resources.setup_intents.rows import Setup
from bailiwick.store.database import Page, Part, Store, following

_setup = msgspec.json.Decoder(Setup)


async def find(store: Store, identifier: str) -> Setup | None:
    """A setup by id, whoever owns it: the caller checks the merchant."""
    row = await store.sure_row("setup_find", identifier)
    return None if row is None else setup_of(row)


async def page(
    store: Store,
    merchant: str,
    livemode: bool,
    part: Page,
    customer: str | None,
    payment_method: str | None,
) -> Part[Setup]:
    """A page of a merchant's setups, of one customer or payment method or all."""
    found = await store.page(
        "setup", merchant, livemode, part, part.since_ms, part.until_ms, customer, payment_method
    )
    return [setup_of(row[:-1]) for row in found], following(found)


def setup_of(row: Iterable[Any]) -> Setup:
    """A setup from the columns of ``setup_find``, in order."""
    values = list(row)
    described = content_of(values[10])
    values[10:11] = [described.details, described.progress]
    return Setup(*values)


def content_of(content: str) -> Setup:
    """The setup as it was when its content was written; the guarded columns have moved on."""
    return _setup.decode(content)
