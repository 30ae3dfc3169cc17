"""Balances and balance transactions over whole nodes: what was booked, added up and listed."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bailiwick.base.ids import new_id
from tests.postgres.lists_kit import Site, site
from tests.postgres.test_lists import PAID, pay

PATH = "/v1/balance_transactions"


@pytest.fixture
async def three(server_dsn: str, tmp_path: Path) -> AsyncIterator[Site]:
    """Three nodes."""
    async with site(server_dsn, tmp_path, ("europe", "apac", "americas")) as made:
        yield made


@pytest.fixture
async def one(server_dsn: str, tmp_path: Path) -> AsyncIterator[Site]:
    """One node."""
    async with site(server_dsn, tmp_path, ("europe",)) as made:
        yield made


async def ask(it: Site, path: str, method: str = "GET", **params: Any) -> Any:
    status, said = await it.ask(method, path, params)
    assert status == 200, said
    return said


def sums(balance: Any) -> dict[str, int]:
    assert {each["amount"] for each in balance["pending"]} <= {0}
    return {each["currency"]: each["amount"] for each in balance["available"]}


async def test_a_balance_is_of_all_nodes(three: Site) -> None:
    assert sums(await ask(three, "/v1/balance")) == {}
    await pay(three, **PAID)
    paid = await pay(three, **PAID, **{"location[country]": "IN", "amount": 700})
    await pay(three, **PAID, currency="usd", amount=5000)
    await pay(three, **PAID, capture_method="manual")  # held: nothing is owed yet
    await ask(three, "/v1/refunds", "POST", payment_intent=paid["id"], amount=200)
    shown = await ask(three, "/v1/balance")
    assert sums(shown) == {"eur": 1500, "usd": 5000}
    assert (shown["object"], shown["livemode"]) == ("balance", False)
    assert shown["available"][0]["source_types"] == {"card": 1500}
    assert sums((await three.ask("GET", "/v1/balance", key="sk_live_first"))[1]) == {}
    assert sums((await three.ask("GET", "/v1/balance", key="sk_test_other"))[1]) == {}
    status, said = await three.ask("GET", "/v1/balance", {"expand[]": "available"})
    assert status == 400 and said["error"]["param"] == "expand"


async def test_a_balance_without_a_node_is_none(three: Site) -> None:
    await pay(three, **PAID)
    await three.nodes[2].server.stop()
    status, said = await three.ask("GET", "/v1/balance")
    assert status == 503 and "americas" in said["error"]["message"]


async def test_each_movement_is_a_transaction(three: Site) -> None:
    made = []
    for at, place in enumerate(["DE", "IN", "US", "DE"]):
        made.append(await pay(three, **PAID, **{"location[country]": place, "amount": 1000 + at}))
    held = await pay(three, **PAID, capture_method="manual")
    await ask(three, f"/v1/payment_intents/{held['id']}/capture", "POST", amount_to_capture=400)
    refund = await ask(three, "/v1/refunds", "POST", payment_intent=made[0]["id"], amount=300)
    ids = await three.walk(PATH, limit=2)
    assert len(ids) == len(set(ids)) == 6
    assert await three.walk(PATH, "ending_before", limit=2, ending_before=ids[-1]) == ids[-2::-1]
    rows = [await ask(three, f"{PATH}/{each}") for each in ids]
    listed = (await ask(three, PATH, limit=100))["data"]
    assert rows == listed
    assert [each["amount"] for each in rows][:2] == [-300, 400]
    assert sum(each["net"] for each in rows) == sums(await ask(three, "/v1/balance"))["eur"]
    assert [each["type"] for each in rows] == ["refund"] + ["charge"] * 5
    assert rows[0]["source"] == refund["id"] and rows[1]["source"] == held["latest_charge"]
    assert {(each["fee"], each["status"]) for each in rows} == {(0, "available")}

    charge = await ask(three, f"/v1/charges/{held['latest_charge']}")
    assert charge["balance_transaction"] == ids[1]
    again = await ask(three, f"/v1/refunds/{refund['id']}")
    assert (again["balance_transaction"], again["failure_balance_transaction"]) == (ids[0], None)
    for path in ("/v1/charges", "/v1/refunds"):
        for each in (await ask(three, path, limit=100))["data"]:
            assert each["balance_transaction"] in ids
            assert (await ask(three, f"{PATH}/{each['balance_transaction']}"))["source"] == (
                each["id"]
            )

    async def found(**params: Any) -> list[str]:
        return [each["id"] for each in (await ask(three, PATH, limit=100, **params))["data"]]

    assert await found(source=refund["id"]) == [ids[0]]
    assert await found(source=made[0]["latest_charge"]) == [ids[-1]]
    assert await found(source="ch_x") == [] and await found(currency="usd") == []
    assert await found(type="charge", currency="eur") == ids[1:]
    assert await found(**{"created[lt]": 1}) == []


async def test_what_is_refused(one: Site) -> None:
    await pay(one, **PAID)
    (mine,) = await one.walk(PATH)

    async def refused(path: str, key: str = "sk_test_first", **params: Any) -> Any:
        status, said = await one.ask("GET", path, params or None, key=key)
        assert status in (400, 404), said
        return said["error"]

    assert (await refused(PATH, payout="po_1"))["param"] == "payout"
    assert "refund_failure" in (await refused(PATH, type="chargeback"))["message"]
    for key in ("sk_live_first", "sk_test_other"):
        assert (await refused(f"{PATH}/{mine}", key))["code"] == "resource_missing"
        assert (await refused(PATH, key, starting_after=mine))["code"] == "resource_missing"
    unbooked = new_id("txn", 1, 1)
    assert (await refused(f"{PATH}/{unbooked}"))["code"] == "resource_missing"
    assert (await refused(f"{PATH}/txn_x"))["code"] == "resource_missing"
