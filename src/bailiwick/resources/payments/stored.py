"""Payments read from the store."""

from collections.abc import Iterable
from typing import Any

import msgspec

from bailiwick.base.errors import ApiError
from bailiwick.base.tenancy import Owner
from bailiwick.resources.payments.rows import Payment
from bailiwick.store.database import Page, Part, Store, following

_payment = msgspec.json.Decoder(Payment)


async def find(store: Store, identifier: str) -> Payment | None:
    """A payment by id, whoever owns it: the caller checks the merchant."""
    row = await store.sure_row("payment_find", identifier)
    return None if row is None else payment_of(row)


async def page(
    store: Store, merchant: str, livemode: bool, part: Page, customer: str | None
) -> Part[Payment]:
    """A page of a merchant's payments, of one customer or all."""
    found = await store.page(
        "payment", merchant, livemode, part, part.since_ms, part.until_ms, customer
    )
    return [payment_of(row[:-1]) for row in found], following(found)


async def check_owned(store: Store, owner: Owner, identifier: str) -> None:
    """Refuse a filter that names a payment which is not the asker's. Raises ApiError (404)."""
    if not await store.owned("payment", identifier, owner.merchant.id, owner.livemode):
        raise ApiError.missing("payment_intent", identifier, param="payment_intent")


def payment_of(row: Iterable[Any]) -> Payment:
    """A payment from the columns of ``payment_find``, in order."""
    values = list(row)
    described = content_of(values[10])
    values[10:11] = [described.details, described.progress]
    return Payment(*values)


def content_of(content: str) -> Payment:
    """The payment as it was when its content was written; the guarded columns have moved on."""
    return _payment.decode(content)
