"""Webhook endpoints are changed without every node, and nodes that were away catch up."""

import asyncio
import itertools
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest

from bailiwick.access.fanout import copies as copying
from bailiwick.base.clock import now_ms
from bailiwick.base.ids import new_id
from bailiwick.base.sealing import SEAL, seal
from bailiwick.interlink.copies import (
    KIND,
    PATH,
    CopiesQuestion,
    Row,
    behind,
    newest,
    version_at,
)
from tests.postgres.hooks_kit import delivering, owe, sink, until_paid
from tests.postgres.lists_kit import One, Site, site
from tests.store_kit import NodeStore
from tests.waiting import until

LIST = "/v1/webhook_endpoints"
TABLE = "webhook_endpoint"
WISH = {"url": "https://shop.example/hooks", "enabled_events[0]": "*"}
Rows = dict[str, dict[str, Any]]


@pytest.fixture
async def three(
    server_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Site]:
    monkeypatch.setattr(copying, "EVERY_S", 3600.0)  # the tests say when
    async with site(server_dsn, tmp_path, ("europe", "apac", "americas")) as made:
        yield made


async def no_answer(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 503, "headers": []})
    await send({"type": "http.response.body", "body": b"{}"})


@asynccontextmanager
async def away(it: Site, *nodes: One) -> AsyncIterator[None]:
    """These do not answer meanwhile; access knows when they are back."""
    whole = [each._build for each in nodes]
    for each in nodes:
        each._build = no_answer
    yield
    for each, build in zip(nodes, whole, strict=True):
        each._build = build
    await it.front.node_monitor.ask_all()


async def rows_of(node: One) -> Rows:
    sql = await asyncpg.connect(node.dsn)
    try:
        found = await sql.fetch("SELECT * FROM webhook_endpoint ORDER BY id")
        return {row["id"]: dict(row) for row in found}
    finally:
        await sql.close()


async def alike(it: Site) -> Rows:
    """What all nodes have, which is the same; in memory too."""
    first, *others = [await rows_of(each) for each in it.nodes]
    assert all(each == first for each in others)
    for each in it.nodes:
        there = {known.id for known in each.node.endpoints.of("acct_1", False)}
        assert there == {row["id"] for row in first.values() if row["deleted_ms"] is None}
    return first


async def do(it: Site, method: str, path: str, **params: Any) -> Any:
    status, said = await it.ask(method, path, params)
    assert status == 200, said
    return said


async def test_all_nodes_have_each_change_at_once(three: Site) -> None:
    made = await do(three, "POST", LIST, **WISH)
    path = f"{LIST}/{made['id']}"
    assert made["secret"].startswith("whsec_") and "lagging_nodes" not in made
    first = (await alike(three))[made["id"]]
    changed = await do(three, "POST", path, url="https://other.example/")
    assert "lagging_nodes" not in changed
    second = (await alike(three))[made["id"]]
    assert second["version"] > first["version"] and second["url"] == "https://other.example/"
    assert await do(three, "DELETE", path) == {
        "id": made["id"], "object": "webhook_endpoint", "deleted": True,
    }  # fmt: skip
    gone = (await alike(three))[made["id"]]
    assert gone["version"] > second["version"] and gone["deleted_ms"]
    assert (gone["url"], gone["secret"], gone["details"]) == ("", "", "{}"), "nothing is left"
    for method in ("GET", "POST", "DELETE"):
        assert (await three.ask(method, path))[0] == 404
    assert (await do(three, "GET", LIST))["data"] == []


async def test_a_change_needs_one_node_and_names_the_others(three: Site) -> None:
    europe, apac, americas = three.nodes
    made = await do(three, "POST", LIST, **WISH)
    path = f"{LIST}/{made['id']}"
    async with away(three, apac, americas):
        changed = await do(three, "POST", path, description="one")
        assert changed["lagging_nodes"] == ["apac", "americas"]
        assert "lagging_nodes" not in await do(three, "GET", path)
    async with away(three, europe):
        # Only those are there that lag: theirs is the newer change, and the whole row wins.
        late = await do(three, "POST", path, **{"metadata[a]": "1"})
        assert late["lagging_nodes"] == ["europe"] and late["description"] is None
    assert await copying.compare(three.front) == 1
    row = (await alike(three))[made["id"]]
    assert msgspec.json.decode(row["details"])["metadata"] == {"a": "1"}
    async with away(three, apac):
        assert (await do(three, "DELETE", path))["lagging_nodes"] == ["apac"]
    assert await copying.compare(three.front) == 1
    assert (await alike(three))[made["id"]]["deleted_ms"]
    assert await copying.compare(three.front) == 0, "there is nothing more to bring"
    async with away(three, *three.nodes):
        assert (await three.ask("POST", LIST, WISH))[0] == 503


async def test_a_key_makes_one_endpoint_and_never_again(three: Site) -> None:
    europe, apac, _ = three.nodes
    keyed = {"idempotency-key": "one"}
    async with away(three, europe):
        status, made = await three.ask("POST", LIST, WISH, headers=keyed)
        assert status == 200 and made["lagging_nodes"] == ["europe"]
    status, again = await three.ask("POST", LIST, WISH, headers=keyed)
    assert (status, again["id"]) == (200, made["id"]) and "secret" not in again
    assert set(await alike(three)) == {made["id"]}, "the repetition brought it to the first"
    async with away(three, apac):
        await do(three, "DELETE", f"{LIST}/{made['id']}")
    status, body = await three.ask("POST", LIST, WISH, headers=keyed)
    assert (status, body["error"]["param"]) == (400, "Idempotency-Key")
    await copying.compare(three.front)
    assert (await alike(three))[made["id"]]["deleted_ms"]


async def test_nodes_come_to_the_same_whatever_was_away(three: Site) -> None:
    """Many changes at random, each with random nodes away: compared once, all have the newest."""
    chance = random.Random(11)
    made: list[str] = []
    last: dict[str, int] = {}
    for number in range(40):
        gone = [each for each in three.nodes if chance.random() < 0.4][:2]
        async with away(three, *gone):
            if len(made) < 5 or not last:
                said = await do(three, "POST", LIST, **WISH)
                made.append(said["id"])
            else:
                path = f"{LIST}/{chance.choice(made)}"
                if chance.random() < 0.1:
                    await three.ask("DELETE", path)
                else:
                    await three.ask("POST", path, {"metadata[n]": str(number)})
        seen = [await rows_of(each) for each in three.nodes]
        for each in itertools.chain(*seen):
            versions = [rows[each]["version"] for rows in seen if each in rows]
            last[each] = max(versions)
    await copying.compare(three.front)
    found = await alike(three)
    assert {each: row["version"] for each, row in found.items()} == last
    assert await copying.compare(three.front) == 0


async def test_it_happens_by_itself(three: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    apac = three.nodes[1]
    async with away(three, apac):
        made = await do(three, "POST", LIST, **WISH)
    assert made["id"] not in await rows_of(apac)
    monkeypatch.setattr(copying, "EVERY_S", 0.01)
    task = asyncio.create_task(copying.run(three.front))
    try:
        await until(lambda: apac.node.endpoints.get(made["id"]) is not None)
    finally:
        task.cancel()
        await asyncio.wait([task])
    await alike(three)


async def test_410_at_one_node_disables_everywhere(three: Site) -> None:
    node = three.nodes[2]
    store = NodeStore(node.dsn, lambda: 1, pool_max=4)
    await store.open()
    sql = await asyncpg.connect(node.dsn)
    try:
        async with sink() as server:
            server.statuses = [410]
            for each in three.nodes:
                each.node.private_addresses = True
            made = await do(three, "POST", LIST, **{**WISH, "url": server.url("/gone")})
            await owe(sql, made["id"], 1)
            async with delivering(store):
                await until_paid(sql, made["id"])
                await until(lambda: _status(sql, made["id"], "disabled"))
    finally:
        await sql.close()
        await store.close()
    assert await copying.compare(three.front) == 2
    await node.node.endpoints.load(node.node.store)
    assert (await alike(three))[made["id"]]["status"] == "disabled"
    shown = await do(three, "POST", f"{LIST}/{made['id']}", disabled="false")
    assert shown["status"] == "enabled"
    assert (await alike(three))[made["id"]]["status"] == "enabled"


async def _status(sql: asyncpg.Connection, identifier: str, status: str) -> bool:
    row = await sql.fetchrow("SELECT status FROM webhook_endpoint WHERE id = $1", identifier)
    return row is not None and row["status"] == status


async def test_what_is_owed_to_a_deleted_one_is_dropped_where_that_is_heard(three: Site) -> None:
    europe, apac, _ = three.nodes
    made = await do(three, "POST", LIST, **WISH)
    sql = await asyncpg.connect(apac.dsn)
    try:
        await owe(sql, made["id"], 3)
        async with away(three, apac):
            await do(three, "DELETE", f"{LIST}/{made['id']}")
        await copying.compare(three.front)
        assert await sql.fetchval("SELECT count(*) FROM delivery WHERE next_at IS NOT NULL") == 0
        await europe.node.store.rows("endpoints_forget", now_ms() + 1)
        assert await rows_of(europe) == {}
    finally:
        await sql.close()


async def test_only_access_asks_and_each_question_once(three: Site) -> None:
    made = await do(three, "POST", LIST, **WISH)
    body = msgspec.json.encode(
        CopiesQuestion(node=1, at_ms=now_ms(), asker="a" * 16, count=1, of=TABLE, ids=[made["id"]])
    )
    genuine = seal(b"internal", KIND, body)
    at = three.nodes[0]

    async def ask(body: bytes, proof: str, where: One = at) -> int:
        return (await three.ask("POST", PATH, body=body, at=where, headers={SEAL: proof}))[0]

    assert await ask(body, "") == 403
    assert await ask(body, seal(b"other", KIND, body)) == 403
    assert await ask(body, seal(b"internal", "refusals", body)) == 403
    assert await ask(body, genuine, three.nodes[1]) == 400, "of another node"
    assert await ask(body, genuine) == 200
    assert await ask(body, genuine) == 400, "the second time"
    nonsense = b'{"node":1}'
    assert await ask(nonsense, seal(b"internal", KIND, nonsense)) == 400
    assert (await three.ask("POST", PATH, body=body, headers={SEAL: genuine}))[0] == 404
    columns = {
        **(await rows_of(at))[made["id"]], "merchant": "acct_2", "version": 2**62,
        "url": "https://thief.example",
    }  # fmt: skip
    foreign = Row(made["id"], 2**62, msgspec.json.encode(columns).decode())
    numbered = msgspec.structs.replace(foreign, id=new_id("we", 7, 5))
    for row, wanted in ((foreign, 200), (numbered, 400)):
        stamp = {"node": 1, "at_ms": now_ms(), "asker": row.id[:20], "count": 1}
        question = msgspec.json.encode({**stamp, "of": TABLE, "rows": [row]})
        assert await ask(question, seal(b"internal", KIND, question)) == wanted
    assert (await alike(three))[made["id"]]["url"] == WISH["url"], "another's stays another's"


def test_which_row_is_right() -> None:
    found = {1: {"a": 5, "b": 1}, 2: {"a": 5, "b": 9}, 3: {"c": 0}}
    holders = newest(found, ["a", "b", "c", "d"])
    assert holders == {"a": 1, "b": 2, "c": 3}
    assert behind(found, holders) == {1: {"b", "c"}, 2: {"c"}, 3: {"a", "b"}}
    assert behind({1: {"a": 1}}, {"a": 1}) == {}
    assert version_at(2, 0) > version_at(1, 2**62)
