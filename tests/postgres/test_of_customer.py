"""Payments and charges of a customer, found by an index whatever their merchant has beside them."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from bailiwick.store.statements import statement
from tests.postgres.lists_kit import Site, site
from tests.postgres.test_customers import broken, customer, post, sound

PAY = {
    "amount": "500",
    "currency": "eur",
    "payment_method": "pm_card_visa",
    "confirm": "true",
    "location[country]": "DE",
}


@pytest.fixture
async def shop(server_dsn: str, tmp_path: Path) -> AsyncIterator[Site]:
    async with site(server_dsn, tmp_path, ("europe",)) as made:
        yield made


async def found(shop: Site, path: str, of: str) -> list[str]:
    status, page = await shop.ask("GET", path, {"customer": of})
    assert status == 200, page
    return [str(each["id"]) for each in page["data"]]


async def test_a_payment_is_listed_under_the_customer_that_it_has_now(shop: Site) -> None:
    ann, bob = [(await customer(shop))["id"] for _ in range(2)]
    paid = await post(shop, "/v1/payment_intents", **{**PAY, "customer": ann})
    await post(shop, "/v1/payment_intents", **PAY)
    open_one = {key: value for key, value in PAY.items() if key != "confirm"}
    later = await post(shop, "/v1/payment_intents", **open_one)
    assert await found(shop, "/v1/payment_intents", ann) == [paid["id"]]
    assert await found(shop, "/v1/charges", ann) == [paid["latest_charge"]]
    assert await found(shop, "/v1/payment_intents", bob) == []
    await post(shop, f"/v1/payment_intents/{later['id']}", customer=bob)
    assert await found(shop, "/v1/payment_intents", bob) == [later["id"]]
    moved = await post(shop, f"/v1/payment_intents/{later['id']}/confirm")
    assert await found(shop, "/v1/charges", bob) == [moved["latest_charge"]]
    await sound(shop.nodes[0])
    sql = await asyncpg.connect(shop.nodes[0].dsn)
    await sql.execute("UPDATE payment SET customer = $1 WHERE id = $2", ann, later["id"])
    await sql.close()
    assert "found_by_customer" in await broken(shop.nodes[0])


@pytest.mark.usefixtures("fresh_schemas")
async def test_one_customer_s_are_found_by_the_index(shop: Site) -> None:
    """Of 50,000 payments of one merchant, with any filter of the list beside it."""
    ann = (await customer(shop))["id"]
    node = shop.nodes[0]
    for _ in range(3):
        await post(shop, "/v1/payment_intents", **{**PAY, "customer": ann})
    sql = await asyncpg.connect(node.dsn)
    await sql.execute("""
        INSERT INTO payment (id, merchant, livemode, version, content_seq, state, writer, epoch,
                             amount, currency, created_ms, updated_ms, customer)
        SELECT 'pi_' || lpad(n::text, 26, '0'), 'acct_1', false, 1, 1, 'succeeded', 1, 1, 500,
               'EUR', n, n, 'cus_' || n % 5000
          FROM generate_series(1, 50000) n;
        ANALYZE payment;
    """)
    await sql.close()
    pool: Any = node.node.store._lists
    for name, arguments in LISTS.items():
        for order in ("newest", "oldest"):
            text = f"EXPLAIN (ANALYZE, FORMAT JSON) {statement(f'{name}_{order}')}"
            async with pool.acquire() as connection:
                told = await connection.fetchval(text, *arguments, ann, 2**30)
            used = list(nodes(json.loads(told)[0]["Plan"]))
            assert "payment_by_customer" in {each.get("Index Name") for each in used}, name
            read = max(each["Actual Rows"] for each in used)
            assert read < 30, (name, order, read)


LISTS: dict[str, list[Any]] = {
    "payment_list": ["acct_1", False, "~", "", 10, 0, 2**53],
    "charge_list": ["acct_1", False, "~", "", 10, "pi_~", "pi_", 0, 2**53],
}


def nodes(plan: dict[str, Any]) -> Any:
    yield plan
    for each in plan.get("Plans", ()):
        yield from nodes(each)
