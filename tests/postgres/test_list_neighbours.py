"""One merchant's slow lists hold up neither payments nor another merchant's lists."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from bailiwick.resources.payments import stored as payments
from bailiwick.store import database
from bailiwick.store.database import LISTS_OF_MERCHANT, Page
from tests.store_kit import NodeStore
from tests.waiting import until

SLOW = "acct_slow"


@pytest.fixture
async def node(dsn: str) -> AsyncIterator[NodeStore]:
    """A store with as many connections as a node has."""
    opened = NodeStore(dsn, lambda: 1)
    await opened.open()
    yield opened
    await opened.close()


async def test_slow_lists_are_their_merchants_own_trouble(
    node: NodeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = database.statement

    def slow(name: str) -> str:
        text = named(name)
        if name != "payment_list_newest":
            return text
        # The real list, after an hour's work for one merchant.
        return f"SELECT l.* FROM pg_sleep(CASE WHEN $1 = '{SLOW}' THEN 3600 ELSE 0 END), ({text}) l"

    monkeypatch.setattr(database, "statement", slow)
    page = Page(limit=10)

    async def asleep() -> int:
        found = await node._pool.fetchval(  # type: ignore[union-attr]
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
            " AND datname = current_database()"
        )
        return int(found)

    lists = [asyncio.ensure_future(payments.page(node, SLOW, False, page, None)) for _ in range(40)]
    await until(lambda: _reached(asleep))
    for _ in range(50):
        assert await node.key("0" * 32) is None
        assert await node.payment("pi_none") is None
        assert await payments.page(node, "acct_other", False, page, None) == ([], None)
    assert not any(each.done() for each in lists), "all that was asked while they were asleep"
    for each in lists:
        each.cancel()
    await asyncio.gather(*lists, return_exceptions=True)
    assert node._turns.held == {}


async def _reached(asleep: object) -> bool:
    return await asleep() == LISTS_OF_MERCHANT  # type: ignore[operator]
