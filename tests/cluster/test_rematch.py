"""The first condition: a home that refuses, drains or is down, and what becomes of payments."""

import asyncio
import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import asyncpg
import pytest
import stripe
from chaos_kit import Chaos

from tests.waiting import wait_until

NEXT = "apac"  # second in the rule of Germany


def sql(chaos: Chaos, node: str, statement: str) -> list[Any]:
    async def run() -> list[Any]:
        connection = await asyncpg.connect(chaos.node(node)["dsn"])
        try:
            return list(await connection.fetch(statement))
        finally:
            await connection.close()

    return asyncio.run(run())


@contextmanager
def draining(chaos: Chaos, node: str) -> Iterator[None]:
    sql(chaos, node, "UPDATE fence SET draining = true")
    chaos.seen(node, is_open=False)
    try:
        yield
    finally:
        sql(chaos, node, "UPDATE fence SET draining = false")
        chaos.seen(node, is_open=True)


@pytest.fixture
def client(chaos: Chaos) -> stripe.StripeClient:
    demo = chaos.demo
    return stripe.StripeClient(demo["secret_key"], base_addresses={"api": demo["base_url"]})


def wish(country: str, currency: str, **changes: Any) -> dict[str, Any]:
    return {
        "amount": 700,
        "currency": currency,
        "confirm": True,
        "payment_method": "pm_card_visa",
        "location": {"country": country},
        **changes,
    }


def test_a_draining_home_is_passed_over_by_its_own_refusal(
    chaos: Chaos, client: stripe.StripeClient
) -> None:
    key = {"idempotency_key": f"drain-{time.time_ns()}"}
    pay = client.v1.payment_intents.create
    with draining(chaos, "europe"):
        paid = pay(wish("DE", "eur"), key)
    assert (paid.status, paid["node"]) == ("succeeded", NEXT)
    verdicts = {each["name"]: each for each in paid["assignment"]["considered"]}
    assert verdicts["europe"]["verdict"] == "refused"
    assert "draining" in verdicts["europe"]["reason"]
    tombstones = sql(
        chaos,
        "europe",
        "SELECT refused FROM idempotency_key WHERE identity ="
        f" key_identity(merchant, livemode, '{key['idempotency_key']}')",
    )
    assert [row["refused"] for row in tombstones] == ["draining"]
    # The home takes payments again, but never this key: a second charge is impossible.
    again = pay(wish("DE", "eur"), key)
    assert (again.id, again["node"]) == (paid.id, NEXT)
    assert pay(wish("DE", "eur"))["node"] == "europe"


def test_a_strict_place_never_leaves(chaos: Chaos, client: stripe.StripeClient) -> None:
    before = {
        name: sql(chaos, name, "SELECT count(*) FROM payment")[0]["count"]
        for name in ("europe", "americas")
    }
    with draining(chaos, "apac"), pytest.raises(stripe.APIError) as refused:
        client.v1.payment_intents.create(wish("IN", "inr"))
    assert refused.value.http_status == 503
    assert refused.value.json_body["error"]["code"] == "no_node"
    headers = {name.lower(): value for name, value in (refused.value.headers or {}).items()}
    assert headers["retry-after"] == "1"
    for name, count in before.items():
        assert sql(chaos, name, "SELECT count(*) FROM payment")[0]["count"] == count


def test_what_moves_nothing_yet_goes_by_usage_state(
    chaos: Chaos, client: stripe.StripeClient
) -> None:
    with draining(chaos, "europe"):
        made = client.v1.payment_intents.create(wish("DE", "eur", confirm=False))
        assert made["node"] == NEXT
        verdict = made["assignment"]["considered"][0]
        assert (verdict["name"], verdict["verdict"]) == ("europe", "not_open")
        paid = client.v1.payment_intents.confirm(made.id, {"payment_method": "pm_card_visa"})
    assert (paid.status, paid["node"]) == ("succeeded", NEXT)


def test_a_frozen_home_is_not_gone_around(chaos: Chaos, client: stripe.StripeClient) -> None:
    """Money may move: without its home's own word the payment waits for its home."""
    node = chaos.node("europe")
    os.kill(node["pid"], signal.SIGSTOP)
    try:
        chaos.seen("europe", is_open=False)
        made = client.v1.payment_intents.create(wish("DE", "eur", confirm=False))
        assert made["node"] == NEXT
        with pytest.raises(stripe.APIError) as listed:
            client.v1.payment_intents.list({"limit": 3})
        assert "europe" in str(listed.value)
        part = client.v1.payment_intents.list({"limit": 3, "partial": "allow"})  # type: ignore[typeddict-unknown-key]
        assert part["unavailable_nodes"] == ["europe"]
        assert part.data
    finally:
        os.kill(node["pid"], signal.SIGCONT)
    chaos.seen("europe", is_open=True)
    assert client.v1.payment_intents.create(wish("DE", "eur"))["node"] == "europe"


def test_what_is_not_definite_in_time_is_processing(
    chaos: Chaos, client: stripe.StripeClient
) -> None:
    """The provider hangs: the client hears of it in time, and the payment ends by itself."""
    chaos.fault(provider="*", operation="callback", kind="callback_drop")
    paid = client.v1.payment_intents.create(
        wish("DE", "eur", payment_method="pm_sandbox_charge_then_hang")
    )
    # The provider says nothing for minutes; the client has its answer before.
    wait_until(lambda: client.v1.payment_intents.retrieve(paid.id).status != "processing")
    chaos.heal()
    paid = client.v1.payment_intents.retrieve(paid.id)
    assert paid.status == "succeeded"
    assert json.loads(str(paid))["amount_received"] == 700
