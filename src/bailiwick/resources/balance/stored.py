"""Balance transactions read from the store: one for each version that moved a merchant's balance.

Nothing is stored twice: a transaction is made of the version's postings, and its id is that of the
version's event under another prefix. So ids sort by time over all nodes, and finding one is reading
one event.
"""

from collections.abc import Iterable

import asyncpg
import msgspec

from bailiwick.ledger.postings import balance_account
from bailiwick.store.database import HIGHEST_ID, LOWEST_ID, Page, Part, Store


class BalanceTransaction(msgspec.Struct, frozen=True):
    """What a version of an order did to its merchant's balance; minor units of ``currency``.

    Attributes:
        subject: the order.
        about: the object that the version's event tells of; ``source``: its id, of a payment its
            charge's.
        amount: negative where it was taken; ``fee``: what it cost, positive.
    """

    id: str
    subject: str
    seq: int
    created_ms: int
    about: str
    source: str | None
    currency: str
    amount: int
    fee: int


def transaction_id(event: str) -> str:
    """The id of the transaction of an event's version."""
    return "txn_" + event.partition("_")[2]


def event_id(transaction: str) -> str:
    """The id of the event of a transaction's version; bounds of lists stay bounds."""
    if transaction in (HIGHEST_ID, LOWEST_ID):
        return "evt_" + transaction
    return "evt_" + transaction.partition("_")[2]


async def balances(store: Store, merchant: str, livemode: bool) -> dict[str, int]:
    """What a merchant is owed by this node, by currency, in minor units; negative: it owes."""
    rows = await store.list_rows("balance_sum", merchant, balance_account(merchant), livemode)
    return {row["currency"]: row["amount"] for row in rows}


async def find(
    store: Store, identifier: str, merchant: str, livemode: bool
) -> BalanceTransaction | None:
    """A merchant's transaction by id."""
    account = balance_account(merchant)
    event = event_id(identifier)
    row = await store.row("balance_transaction_find", merchant, livemode, event, account)
    return None if row is None else _transaction(row)


async def page(
    store: Store,
    merchant: str,
    livemode: bool,
    part: Page,
    *,
    currency: str | None,
    kind: tuple[str, int] | None,
    source: str | None,
) -> Part[BalanceTransaction]:
    """A page of a merchant's transactions.

    ``kind``: the object and the sign of the movements wanted; ``source``: those of one object.
    """
    about, sign = kind or (None, 0)
    found = await store.list_rows(
        f"balance_transaction_list_{'oldest' if part.oldest_first else 'newest'}",
        merchant,
        livemode,
        event_id(part.below),
        event_id(part.above),
        part.limit + 1,
        balance_account(merchant),
        currency,
        about,
        sign,
        source,
        part.since_ms,
        part.until_ms,
    )
    rows = [_transaction(row) for row in found]
    after = rows[part.limit].id if len(rows) > part.limit else None
    return rows[: part.limit], after


async def of(store: Store, subjects: Iterable[str]) -> dict[str, list[str]]:
    """The transactions of orders by the object that moved the money: their ids, the first first."""
    wanted = sorted(set(subjects))
    found: dict[str, list[str]] = {}
    for event, source in await store.rows("balance_transactions_of", wanted) if wanted else ():
        found.setdefault(source, []).append(transaction_id(event))
    return found


def _transaction(row: asyncpg.Record) -> BalanceTransaction:
    values = list(row)
    values[0] = transaction_id(values[0])
    return BalanceTransaction(*values)
