"""Objects in place of ids, through access and at a node: of payments, charges, refunds, payers."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.postgres.lists_kit import Site, site

PAID = {
    "amount": 1000, "currency": "eur", "confirm": "true", "payment_method": "pm_card_visa",
    "location[country]": "DE",
}  # fmt: skip
CARD = {"type": "card", "card[token]": "pm_card_visa", "location[country]": "DE"}


@pytest.fixture
async def shop(server_dsn: str, tmp_path: Path) -> AsyncIterator[Site]:
    async with site(server_dsn, tmp_path, ("europe", "apac")) as made:
        yield made


async def post(shop: Site, path: str, key: str | None = None, **params: Any) -> Any:
    headers = {} if key is None else {"idempotency-key": key}
    status, said = await shop.ask("POST", path, params, headers=headers)
    assert status == 200, said
    return said


async def get(shop: Site, path: str, *expand: str, **more: Any) -> Any:
    wish = {f"expand[{at}]": each for at, each in enumerate(expand)}
    status, said = await shop.ask("GET", path, {**wish, **more})
    assert status == 200, said
    return said


async def payer(shop: Site) -> tuple[Any, Any]:
    """A customer with a default card; both as they are."""
    made = await post(shop, "/v1/customers", **{"name": "Ann", "location[country]": "DE"})
    card = await post(shop, "/v1/payment_methods", **CARD)
    path = f"/v1/payment_methods/{card['id']}/attach"
    card = await post(shop, path, customer=made["id"])
    default = {"invoice_settings[default_payment_method]": card["id"]}
    return await post(shop, f"/v1/customers/{made['id']}", **default), card


async def test_every_reference_four_levels_deep(shop: Site) -> None:
    ann, card = await payer(shop)
    paid = await post(shop, "/v1/payment_intents", **PAID, customer=ann["id"])
    refund = await post(shop, "/v1/refunds", payment_intent=paid["id"], amount=400)
    default = "invoice_settings.default_payment_method"
    it = await get(
        shop,
        f"/v1/refunds/{refund['id']}",
        "charge.payment_intent.latest_charge.customer",
        "payment_intent.customer",
        f"customer.{default}",
        "balance_transaction",
        "payment_method",
    )
    plain = await get(shop, f"/v1/payment_intents/{paid['id']}")
    charge = await get(shop, f"/v1/charges/{paid['latest_charge']}")
    deep = {**plain, "latest_charge": {**charge, "customer": ann}}
    assert it["charge"] == {**charge, "payment_intent": deep}
    assert it["payment_intent"] == {**plain, "customer": ann}
    settings = {**ann["invoice_settings"], "default_payment_method": card}
    assert it["customer"] == {**ann, "invoice_settings": settings}
    moved = it["balance_transaction"]
    assert (moved["object"], moved["amount"], moved["source"]) == (
        "balance_transaction", -400, refund["id"],
    )  # fmt: skip
    assert it["payment_method"] == "pm_card_visa", "a token of a provider is no object"
    one = await get(shop, f"/v1/payment_methods/{card['id']}", f"customer.{default}")
    assert one["customer"]["invoice_settings"]["default_payment_method"] == card


async def test_in_lists(shop: Site) -> None:
    ann, _ = await payer(shop)
    paid = await post(shop, "/v1/payment_intents", **PAID, customer=ann["id"])
    abroad = await post(
        shop, "/v1/payment_intents", **{**PAID, "currency": "inr", "location[country]": "IN"}
    )
    refund = await post(shop, "/v1/refunds", payment_intent=paid["id"])
    page = await get(shop, "/v1/payment_intents", "data.latest_charge.customer", "data.customer")
    got = {each["id"]: each for each in page["data"]}
    assert got[paid["id"]]["latest_charge"]["customer"] == got[paid["id"]]["customer"] == ann
    assert got[abroad["id"]]["latest_charge"]["payment_intent"] == abroad["id"]
    page = await get(shop, "/v1/refunds", "data.payment_intent.latest_charge", "data.charge")
    assert page["data"][0]["id"] == refund["id"]
    assert page["data"][0]["payment_intent"]["latest_charge"] == page["data"][0]["charge"]
    page = await get(shop, "/v1/charges", "data.payment_intent.customer", customer=ann["id"])
    assert [each["payment_intent"]["customer"] for each in page["data"]] == [ann]
    page = await get(shop, f"/v1/customers/{ann['id']}/payment_methods", "data.customer")
    assert [each["customer"] for each in page["data"]] == [ann]


async def test_the_answer_of_a_change(shop: Site) -> None:
    """What is personal is in no answer that is kept: it is shown as it is when that is sent."""
    ann, _ = await payer(shop)
    wish = {"expand[0]": "customer", "expand[1]": "latest_charge.payment_intent"}
    body = {**PAID, "customer": ann["id"], **wish}
    first = await post(shop, "/v1/payment_intents", "k", **body)
    assert first["customer"] == ann and first["latest_charge"]["paid"]
    assert first["latest_charge"]["payment_intent"]["id"] == first["id"]
    kept = await shop.nodes[0].node.store.rows("payment_find", first["id"])
    assert "Ann" not in str([tuple(row) for row in kept])
    named = await post(shop, f"/v1/customers/{ann['id']}", name="Ann Other")
    assert (await post(shop, "/v1/payment_intents", "k", **body))["customer"] == named
    assert await shop.ask("DELETE", f"/v1/customers/{ann['id']}") == (
        200, {"id": ann["id"], "object": "customer", "deleted": True},
    )  # fmt: skip
    again = await post(shop, "/v1/payment_intents", "k", **body)
    assert again["customer"] == {"id": ann["id"], "object": "customer", "deleted": True}
    refund = await post(
        shop, "/v1/refunds", payment_intent=first["id"], **{"expand[0]": "charge.payment_intent"}
    )
    assert refund["charge"]["payment_intent"]["id"] == first["id"]


async def test_what_is_another_s_or_nobody_s_stays_an_id(shop: Site) -> None:
    """As in a payment that was made when customers were not looked up yet."""
    _, other = await shop.ask(
        "POST", "/v1/customers", {"name": "Bob", "location[country]": "DE"}, key="sk_test_other"
    )
    node = shop.nodes[0]
    for at, named in enumerate((other["id"], "cus_of_another_system", "pm_1")):
        row = node.row(1_790_000_000_000 + at, 10, customer=named)
        await node.node.store.write("create", row)
        it = await get(shop, f"/v1/payment_intents/{row.id}", "customer")
        assert it["customer"] == named


@pytest.mark.parametrize(
    ("path", "wish"),
    [
        ("/v1/payment_intents", "data.client_secret"),
        ("/v1/payment_intents", "data.latest_charge.payment_intent.latest_charge.customer"),
        ("/v1/refunds", "data.reason"),
        ("/v1/charges", "data.payment_intent.amount"),
        ("/v1/events", "data.data.object"),
    ],
)
async def test_what_is_refused(shop: Site, path: str, wish: str) -> None:
    for at in (None, shop.nodes[0]):
        status, said = await shop.ask("GET", path, {"expand[]": wish}, at=at)
        assert (status, said["error"]["param"]) == (400, "expand"), wish


async def test_a_saved_payment_method(shop: Site) -> None:
    ann, card = await payer(shop)
    wish = {**PAID, "payment_method": card["id"], "customer": ann["id"]}
    paid = await post(shop, "/v1/payment_intents", **wish, **{"expand[0]": "payment_method"})
    assert (paid["status"], paid["payment_method"]) == ("succeeded", card)
    it = await get(shop, f"/v1/payment_intents/{paid['id']}", "payment_method.customer")
    assert it["payment_method"] == {**card, "customer": ann}
