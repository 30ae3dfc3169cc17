"""A sample of ``tests/soak/stored.py``: what it asks is found, and is what it should be."""

from pathlib import Path

from tests.postgres.lists_kit import site
from tests.soak.stored import EACH, measured, prepared


async def test_what_is_asked_is_found(server_dsn: str, tmp_path: Path) -> None:
    async with site(server_dsn, tmp_path, ("europe",)) as it:
        stock = await prepared(it, 5 * EACH)
        assert len(await measured(it, stock, 5)) == 7
        for path in ("/v1/payment_intents", "/v1/charges"):
            found = await it.walk(path, customer=stock.customers[2], limit=20)
            assert len(found) == len(set(found)) == EACH
        query = f"customer:'{stock.customers[2]}'"
        status, page = await it.ask(
            "GET", "/v1/payment_intents/search", {"query": query, "limit": "100"}
        )
        assert status == 200 and len(page["data"]) == EACH
        one = {"query": "metadata['order']:'o-7'"}
        (found_one,) = (await it.ask("GET", "/v1/payment_intents/search", one))[1]["data"]
        assert found_one["customer"] == stock.customers[0]
