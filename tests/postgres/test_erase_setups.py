"""What is personal of a payer goes out of their setups too."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from bailiwick.erasure.payer import Asked
from tests.canaries import Canaries
from tests.postgres.erase_kit import command_says, erase, wrong
from tests.postgres.lists_kit import Site
from tests.postgres.setups_kit import ann, get, setup, shop

__all__ = ["shop"]


@pytest.fixture
async def sql(shop: Site) -> AsyncIterator[asyncpg.Connection]:
    """At the first node."""
    made = await asyncpg.connect(shop.nodes[0].dsn)
    yield made
    await made.close()


async def test_setups_of_a_customer(shop: Site, sql: asyncpg.Connection) -> None:
    word, of = Canaries(), await ann(shop)
    made = await setup(
        shop,
        customer=of,
        confirm="true",
        payment_method=f"pm_card_{word('token')}",
        description=word("description"),
        return_url=f"https://shop.example/{word('return')}",
        **{"metadata[a]": word("metadata")},
    )
    assert made["status"] == "succeeded"
    assert await wrong(shop.nodes[0]) == {}
    seen, done = await erase(shop.nodes[0], Asked((of,)))
    assert seen.payer.orders == [made["id"]] and set(done.erased) == {made["id"], of}
    after = await get(shop, f"/v1/setup_intents/{made['id']}")
    same = ("id", "status", "customer", "payment_method", "mandate", "usage")
    assert {name: after[name] for name in same} == {name: made[name] for name in same}
    assert (after["metadata"], after["description"]) == ({}, None)
    for table in ("event", "attempt", "record", "personal_event", "setup"):
        assert word.find(repr(await sql.fetch(f"SELECT * FROM {table}")).encode()) == [], table
    assert await wrong(shop.nodes[0]) == {}


async def test_refused_while_the_bank_has_not_decided(shop: Site, sql: asyncpg.Connection) -> None:
    shop.nodes[0].bank.script["setup"].append("pending")  # type: ignore[index]
    of = await ann(shop)
    made = await setup(shop, customer=of, confirm="true", payment_method="pm_card_visa")
    assert made["status"] == "processing"
    said = await command_says(
        "--dsn", shop.nodes[0].dsn, "--customer", of, "--yes", "--json", status=1
    )
    assert '"open": "attempt"' in said.output
    assert await sql.fetchval("SELECT count(*) FROM erasure") == 0
