"""Payers who come back by the node, with what their charge goes on by: over HTTP."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pytest

from bailiwick.access.nodes.forward import NodeClient
from bailiwick.node import returns
from bailiwick.node.public import build_public
from bailiwick.wire.server import HttpServer
from tests.postgres.lists_kit import Site, site
from tests.postgres.node_kit import Banks
from tests.postgres.rows_kit import sound
from tests.postgres.steps_kit import Orders
from tests.waiting import until

WISH = {
    "amount": "1000", "currency": "eur", "confirm": "true", "location[country]": "DE",
    "payment_method_types[0]": "paypal", "payment_method_data[type]": "paypal",
    "return_url": "https://shop.example/back?cart=7#top",
}  # fmt: skip


class Shop:
    """A node, access before it, and a provider whose payers bring something back."""

    def __init__(self, it: Site, bank: Orders) -> None:
        self.site, self.bank = it, bank

    async def pay(self) -> dict[str, Any]:
        status, made = await self.site.ask("POST", "/v1/payment_intents", WISH)
        assert (status, made["status"]) == (200, "requires_action"), made
        return dict(made)

    async def get(self, path: str, client: NodeClient | None = None) -> Any:
        return await (client or self.site._client).request("GET", path.encode(), [])

    async def comes_back(self, charge: str, query: str) -> dict[str, list[str]]:
        """The payer, through access; the parameters of the client's page."""
        answer = await self.get(f"/v1/nodes/europe/returns/{charge}{query}")
        assert answer.status == 303, answer.body
        assert answer.headers[b"cache-control"] == b"no-store"
        assert answer.headers[b"referrer-policy"] == b"no-referrer"
        parts = urlsplit(answer.headers[b"location"].decode())
        assert (parts.netloc, parts.path, parts.fragment) == ("shop.example", "/back", "top")
        return parse_qs(parts.query)

    async def state(self, payment: dict[str, Any]) -> str:
        _, found = await self.site.ask("GET", f"/v1/payment_intents/{payment['id']}")
        return str(found["status"])


@pytest.fixture
async def shop(server_dsn: str, tmp_path: Path) -> AsyncIterator[Shop]:
    async with site(server_dsn, tmp_path, ("europe",)) as made:
        bank = Orders()
        bank.comes_back()
        made.nodes[0].use(Banks(bank))
        yield Shop(made, bank)


@pytest.fixture
async def sql(shop: Shop) -> AsyncIterator[asyncpg.Connection]:
    made = await asyncpg.connect(shop.site.nodes[0].dsn)
    yield made
    await made.close()


async def test_the_payer_brings_it_and_goes_on_to_the_shop(
    shop: Shop, sql: asyncpg.Connection
) -> None:
    made = await shop.pay()
    charge = made["latest_charge"]
    [order] = shop.bank.calls
    assert order.return_url == f"http://node/v1/returns/{charge}"
    assert made["next_action"]["redirect_to_url"]["return_url"] == WISH["return_url"]
    for _ in range(2):  # the second time is a reload of the page
        told = await shop.comes_back(charge, "?result=good&other=x")
        assert told == {
            "cart": ["7"], "payment_intent": [made["id"]],
            "payment_intent_client_secret": [made["client_secret"]],
            "redirect_status": ["succeeded"],
        }  # fmt: skip
    assert shop.bank.sent() == [(None, charge), ("details", f"{charge}s2")]
    assert shop.bank.calls[-1].kept == {"result": "good"}
    assert await shop.state(made) == "succeeded" and shop.bank.taken() == 1000
    await sound(sql)


async def test_what_the_provider_does_not_know_can_be_brought_again(
    shop: Shop, sql: asyncpg.Connection
) -> None:
    made = await shop.pay()
    charge = made["latest_charge"]
    for _ in range(2):
        told = await shop.comes_back(charge, "?result=bad")
        assert told["redirect_status"] == ["pending"]
    assert await shop.state(made) == "requires_action"
    assert shop.bank.sent()[1:] == [("details", f"{charge}s2")], "the same is sent once"
    told = await shop.comes_back(charge, "?result=good")
    assert told["redirect_status"] == ["succeeded"]
    assert shop.bank.sent()[2:] == [("details", f"{charge}s3")]
    await sound(sql)


@pytest.mark.parametrize(
    "query", ["", "?other=x", "?result=", "?result=%00", f"?result={'x' * 7_000}", "?result=%0Aa"]
)
async def test_who_brings_nothing_goes_on(shop: Shop, query: str) -> None:
    made = await shop.pay()
    told = await shop.comes_back(made["latest_charge"], query)
    assert told["redirect_status"] == ["pending"]
    assert len(shop.bank.calls) == 1


async def test_several_at_once_make_one_call(shop: Shop, sql: asyncpg.Connection) -> None:
    made = await shop.pay()
    charge = made["latest_charge"]
    await asyncio.gather(*(shop.comes_back(charge, "?result=good") for _ in range(8)))
    assert shop.bank.taken_by == {charge: [f"{charge}s2"]}
    await sound(sql)


async def test_the_payer_does_not_wait_for_ever(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(returns, "WAIT_S", 0.0)
    made = await shop.pay()
    gate = shop.bank.hold_back()
    told = await shop.comes_back(made["latest_charge"], "?result=good")
    assert told["redirect_status"] == ["pending"]
    gate.set()

    async def done() -> bool:
        return await shop.state(made) == "succeeded"

    await until(done)


async def test_after_the_end_the_payer_only_goes_on(shop: Shop) -> None:
    made = await shop.pay()
    status, _ = await shop.site.ask("POST", f"/v1/payment_intents/{made['id']}/cancel", {})
    assert status == 200
    calls = len(shop.bank.calls)
    told = await shop.comes_back(made["latest_charge"], "?result=good")
    assert told["redirect_status"] == ["failed"]
    assert len(shop.bank.calls) == calls


async def test_nobody_else_comes_back_there(shop: Shop) -> None:
    made = await shop.pay()
    for path, status in (
        ("/v1/nodes/europe/returns/ch_unknown", 404),
        ("/v1/nodes/nowhere/returns/ch_1", 404),
        ("/v1/nodes/europe/returns/a%2Fb", 404),
    ):
        answer = await shop.get(path)
        assert answer.status == status, path
    _, refund = await shop.site.ask(
        "POST", "/v1/refunds", {"payment_intent": made["id"], "amount": "1"}
    )
    assert "error" in refund
    path = f"/v1/nodes/europe/returns/{made['latest_charge']}?result=good"
    answer = await shop.site._client.request("POST", path.encode(), [], b"")
    assert answer.status == 405 and len(shop.bank.calls) == 1


async def test_on_the_listener_of_providers_too(shop: Shop) -> None:
    made = await shop.pay()
    server = HttpServer(build_public(shop.site.nodes[0].node), grace_s=1)
    await server.start()
    client = NodeClient(f"http://127.0.0.1:{server.port}")
    try:
        answer = await shop.get(f"/v1/returns/{made['latest_charge']}?result=good", client)
    finally:
        client.close()
        await server.stop()
    assert answer.status == 303 and b"succeeded" in answer.headers[b"location"]
