"""A secret replaced at all nodes, over access; deliveries with both signatures meanwhile."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import standardwebhooks
import stripe

from bailiwick.access.fanout.copies import compare
from bailiwick.base.clock import now_ms
from bailiwick.base.objects import text
from bailiwick.delivery.secrets import replaced
from tests.postgres.hooks_kit import delivering, endpoint, owe, sink, until_paid
from tests.postgres.lists_kit import Site, site
from tests.store_kit import NodeStore

PATH = "/v1/webhook_endpoints"


@pytest.fixture
async def two(server_dsn: str, tmp_path: Path) -> AsyncIterator[Site]:
    async with site(server_dsn, tmp_path, ("europe", "asia")) as made:
        yield made


async def _silent(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 503, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def secrets_at(two: Site) -> set[tuple[str, ...]]:
    """What signs, at each node."""
    found = set()
    for one in two.nodes:
        await one.node.endpoints.load(one.node.store)
        (each,) = one.node.endpoints.of("acct_1", False)
        found.add(tuple(each.secrets(now_ms())))
    return found


async def test_every_node_gets_the_same_secret_even_after_a_failure(two: Site) -> None:
    wish = {"url": "https://shop.example/hooks", "enabled_events[0]": "*"}
    _, made = await two.ask("POST", PATH, wish)
    target = f"{PATH}/{made['id']}/roll_secret"
    status, body = await two.ask("POST", target)
    assert (status, body["error"]["param"]) == (400, "Idempotency-Key")
    keyed = {"idempotency-key": "roll-1"}
    asia = two.nodes[1]
    serving, asia._build = asia._build, _silent
    status, rolled = await two.ask("POST", target, headers=keyed)
    assert status == 200 and rolled["lagging_nodes"] == ["asia"]
    assert rolled["secret"] not in ("", made["secret"])
    asia._build = serving
    assert await compare(two.front) == 1
    assert await secrets_at(two) == {(rolled["secret"], made["secret"])}
    status, again = await two.ask("POST", target, headers=keyed)
    assert status == 200 and "secret" not in again
    status, last = await two.ask(
        "POST", target, {"expires_in": "0"}, headers={"idempotency-key": "roll-2"}
    )
    assert status == 200
    assert await secrets_at(two) == {(last["secret"],)}
    status, body = await two.ask("POST", target, headers=keyed)
    assert (status, body["error"]["param"]) == (400, "Idempotency-Key")
    assert await secrets_at(two) == {(last["secret"],)}


async def test_deliveries_bear_both_signatures(store: NodeStore, sql: asyncpg.Connection) -> None:
    async with sink() as server:
        to = await endpoint(sql, "acct_a", server.url("/a"))
        first, second = "whsec_" + "0" * 48, "whsec_" + "1" * 48
        old = replaced([], first, second, now_ms(), now_ms() + 3_600_000)
        await sql.execute("UPDATE webhook_endpoint SET secret = $1, old_secrets = $2", second,
                          text(old))  # fmt: skip
        await owe(sql, to, 1)
        async with delivering(store):
            await until_paid(sql, to)
    (head,), (body,) = server.heads, server.bodies
    for secret in (first, second):
        stripe.Webhook.construct_event(body, head["stripe-signature"], secret)
        standardwebhooks.Webhook(secret).verify(body, head)
    assert head["stripe-signature"].count("v1=") == 2
    assert len(head["webhook-signature"].split(" ")) == 2
