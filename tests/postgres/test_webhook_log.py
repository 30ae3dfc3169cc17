"""What is kept of each try of a delivery, for whom, how much and for how long."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest

from bailiwick.base.clock import now_ms
from bailiwick.base.ids import new_id
from bailiwick.delivery.tries import KEPT_MS, KEPT_OF_DELIVERY, Try, new_name
from tests.postgres.hooks_kit import delivering, endpoint, owe, owed, sink, until, until_paid
from tests.postgres.lists_kit import One, Site, site
from tests.store_kit import NodeStore

CARD = "4242424242424242"


async def tries(sql: asyncpg.Connection) -> list[asyncpg.Record]:
    return await sql.fetch("SELECT * FROM delivery_try ORDER BY event, number")


async def test_each_try_is_kept_with_its_answer_and_what_follows(
    store: NodeStore, sql: asyncpg.Connection
) -> None:
    async with sink() as server:
        said = f"no order {CARD}, sorry \0".encode()
        server.said["/a"] = (
            b"HTTP/1.1 422 X\r\nset-cookie: s=1\r\nx-why: b\r\ncontent-length: %d\r\n\r\n%b"
            % (len(said), said)
        )
        to = await endpoint(sql, "acct_a", server.url("/a"))
        (event,) = await owe(sql, to, 1)
        async with delivering(store):
            await until(lambda: server.seen("answered", "/a"))
            while not await tries(sql):
                await asyncio.sleep(0.01)
            del server.said["/a"]
            await sql.execute("UPDATE delivery SET next_at = now()")
            await until_paid(sql, to)
    first, second = await tries(sql)
    assert (first["merchant"], first["livemode"]) == ("acct_a", False)
    assert (first["event"], first["endpoint"], first["number"]) == (event, to, 1)
    assert (first["status"], first["failure"], first["follows"]) == (422, None, "retry")
    assert first["body"] == "no order [card], sorry \N{REPLACEMENT CHARACTER}"
    shown = json.loads(first["headers"])
    assert (shown["set-cookie"], shown["x-why"]) == ("[not kept]", "b")
    gap_ms = first["next_ms"] - first["created_ms"] - first["took_ms"]
    assert 1_000 <= gap_ms <= 3_000
    assert (second["number"], second["status"], second["follows"]) == (2, 200, "delivered")
    assert second["next_ms"] is None
    stamps = [int(each["webhook-timestamp"]) for each in server.heads]
    assert stamps == [first["created_ms"] // 1000, second["created_ms"] // 1000]


async def test_redirects_are_refused_and_not_followed(
    store: NodeStore, sql: asyncpg.Connection
) -> None:
    """Neither a temporary one nor one that keeps the method, here or elsewhere."""
    async with sink() as server:
        made = []
        for number, status in enumerate((301, 302, 303, 307, 308)):
            path = f"/moved/{number}"
            server.said[path] = (
                f"HTTP/1.1 {status} X\r\nlocation: {server.url('/inside')}\r\n"
                "content-length: 0\r\n\r\n"
            ).encode()
            made.append(await endpoint(sql, "acct_a", server.url(path)))
            await owe(sql, made[-1], 1)
        async with delivering(store):
            await until(lambda: len(server.seen("answered", "/moved")) >= len(made))
            while len(await tries(sql)) < len(made):
                await asyncio.sleep(0.01)
        assert server.seen("came", "/inside") == []
        assert await owed(sql, *made) == len(made), "they are tried again"
    kept = {row["status"]: row for row in await tries(sql)}
    assert set(kept) == {301, 302, 303, 307, 308}
    assert {row["follows"] for row in kept.values()} == {"retry"}
    assert json.loads(kept[302]["headers"])["location"].endswith("/inside")


async def test_410_nobody_there_and_an_address_inside(
    store: NodeStore, sql: asyncpg.Connection
) -> None:
    async with sink() as server:
        server.statuses = [410]
        gone = await endpoint(sql, "acct_a", server.url("/gone"))
        nobody = await endpoint(sql, "acct_a", "http://127.0.0.1:9/")
        for each in (gone, nobody):
            await owe(sql, each, 1)
        async with delivering(store):
            await until_paid(sql, gone)
            while len(await tries(sql)) < 2:
                await asyncio.sleep(0.01)
    found = {row["endpoint"]: row for row in await tries(sql)}
    assert (found[gone]["status"], found[gone]["follows"]) == (410, "endpoint_disabled")
    row = found[nobody]
    assert (row["status"], row["failure"], row["follows"]) == (0, "not_connected", "retry")
    assert (row["headers"], row["body"]) == (None, None)


def a_try(node: int, event: str, to: str, number: int, at: int, **values: Any) -> Try:
    given = {
        "id": new_name(node, at), "merchant": "acct_1", "livemode": False, "event": event,
        "endpoint": to, "subject": "pi_1", "number": number, "resent": 0, "created_ms": at,
        "took_ms": 5, "url": "https://shop.example/", "status": 500, "failure": None,
        "headers": '{"server":"x"}', "body": "no", "body_cut": False, "follows": "retry",
        "next_ms": at + 2_000, **values,
    }  # fmt: skip
    return msgspec.convert(given, Try)


async def keep(store: Any, *kept: Try) -> None:
    rows = [msgspec.structs.astuple(each) for each in kept]
    await store.rows("delivery_done", [], [], [], [], [], rows, KEPT_OF_DELIVERY)


async def test_of_a_delivery_the_newest_tries_are_kept(
    store: NodeStore, sql: asyncpg.Connection
) -> None:
    other = a_try(1, "evt_b", "we_a", 1, 1)
    await keep(store, other)
    for number in range(1, KEPT_OF_DELIVERY + 11):
        await keep(store, a_try(1, "evt_a", "we_a", number, number))
    kept = [(row["event"], row["number"]) for row in await tries(sql)]
    assert kept == [*(("evt_a", n) for n in range(11, KEPT_OF_DELIVERY + 11)), ("evt_b", 1)]


async def test_old_tries_are_forgotten_by_themselves(
    store: NodeStore, sql: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bailiwick.delivery.deliverer.FORGET_MAX", 3)
    now = now_ms()
    old = [a_try(1, f"evt_{n}", "we_a", 1, now - KEPT_MS - 60_000 - n) for n in range(10)]
    young = [a_try(1, f"evt_y{n}", "we_a", 1, now - KEPT_MS + 60_000) for n in range(3)]
    await keep(store, *old, *young)
    async with delivering(store):
        while len(await tries(sql)) > 3:
            await asyncio.sleep(0.01)
    assert {row["id"] for row in await tries(sql)} == {each.id for each in young}


# --- the API, at a node and over access --------------------------------------------------------


@pytest.fixture
async def two(server_dsn: str, tmp_path: Path) -> AsyncIterator[Site]:
    async with site(server_dsn, tmp_path, ("europe", "asia")) as made:
        yield made


async def event_at(one: One) -> str:
    """An event of the first merchant's payment at a node."""
    row = one.row(now_ms(), 1)
    await one.node.store.write("create", row)
    return row.event_id


async def test_the_log_is_one_list_over_all_nodes(two: Site) -> None:
    wish = {"url": "https://shop.example/hooks", "enabled_events[0]": "*"}
    _, made = await two.ask("POST", "/v1/webhook_endpoints", wish)
    kept: list[Try] = []
    events = []
    for one in two.nodes:
        event = await event_at(one)
        events.append(event)
        for number in range(1, 4):
            at = now_ms() + number
            follows = "delivered" if number == 3 else "retry"
            kept.append(a_try(one.number, event, made["id"], number, at, follows=follows))
        await keep(one.node.store, *kept[-3:])
    wanted = sorted((each.id for each in kept), reverse=True)
    where, path = {"webhook_endpoint": made["id"]}, "/v1/webhook_deliveries"
    assert await two.walk(path, limit=2, **where) == wanted
    assert await two.walk(path, limit=1, event=events[1]) == [
        each for each in wanted if each in {it.id for it in kept[3:]}
    ]
    done = await two.walk(path, next="delivered", **where)
    assert done == [each for each in wanted if each in {kept[2].id, kept[5].id}]
    status, shown = await two.ask("GET", f"{path}/{kept[0].id}")
    assert status == 200
    assert (shown["object"], shown["number"], shown["next"]) == ("webhook_delivery", 1, "retry")
    assert shown["response"] == {
        "status": 500, "headers": {"server": "x"}, "body": "no", "body_truncated": False,
    }  # fmt: skip
    assert shown["request"]["url"] == "https://shop.example/"
    assert made["secret"] not in json.dumps(shown)
    assert "[not kept]" in shown["request"]["headers"]["stripe-signature"]
    status, at_node = await two.ask("GET", path, where, at=two.nodes[0])
    assert status == 200 and len(at_node["data"]) == 3


async def test_nobody_reads_another_s_log(two: Site) -> None:
    wish = {"url": "https://shop.example/hooks", "enabled_events[0]": "*"}
    _, made = await two.ask("POST", "/v1/webhook_endpoints", wish)
    event = await event_at(two.nodes[0])
    mine = a_try(1, event, made["id"], 1, now_ms())
    await keep(two.nodes[0].node.store, mine)
    path = "/v1/webhook_deliveries"
    for key in ("sk_test_other", "sk_live_first"):
        status, body = await two.ask("GET", f"{path}/{mine.id}", key=key)
        assert (status, body["error"]["code"]) == (404, "resource_missing")
        for wanted in ({"event": event}, {"webhook_endpoint": made["id"]}):
            status, body = await two.ask("GET", path, wanted, key=key)
            assert (status, body["error"]["param"]) == (404, next(iter(wanted)))
    for wanted, param, expected in (
        ({}, "webhook_endpoint", 400),
        ({"event": new_id("pi", 1, 5)}, "event", 404),
        ({"webhook_endpoint": "we_1"}, "webhook_endpoint", 404),
        ({"webhook_endpoint": made["id"], "next": "soon"}, "next", 400),
        ({"webhook_endpoint": made["id"], "starting_after": event}, "starting_after", 400),
        ({"webhook_endpoint": made["id"], "type": "x"}, "type", 400),
    ):
        status, body = await two.ask("GET", path, wanted)
        assert (status, body["error"]["param"]) == (expected, param), wanted


async def test_events_say_to_how_many_they_are_owed(two: Site) -> None:
    one = two.nodes[0]
    events = [await event_at(one) for _ in range(3)]
    sql = await asyncpg.connect(one.dsn)
    for event, count in zip(events, (2, 1, 0), strict=True):
        for number in range(3):
            await sql.execute(
                "INSERT INTO delivery (event, endpoint, subject, seq, next_at)"
                " VALUES ($1, $2, 'pi_1', 1, CASE WHEN $3 THEN now() END)",
                event, f"we_{number}", number < count,
            )  # fmt: skip
    await sql.close()
    _, page = await two.ask("GET", "/v1/events")
    assert {each["id"]: each["pending_webhooks"] for each in page["data"]} == dict(
        zip(events, (2, 1, 0), strict=True)
    )
    _, page = await two.ask("GET", "/v1/events", {"ending_before": events[0]})
    assert [each["pending_webhooks"] for each in page["data"]] == [0, 1]
    _, shown = await two.ask("GET", f"/v1/events/{events[0]}")
    assert shown["pending_webhooks"] == 2
