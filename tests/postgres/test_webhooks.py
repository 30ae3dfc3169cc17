"""Deliveries over a real database and real HTTP: nobody at another's expense, in order, no loss."""

import asyncio
import json

import asyncpg
import pytest

from bailiwick.base.api_versions import CURRENT
from bailiwick.delivery.slots import ENDPOINT_MAX, SECOND_BELOW
from bailiwick.store.statements import statement
from tests.postgres.hooks_kit import (
    delivering,
    endpoint,
    owe,
    owed,
    sink,
    until,
    until_paid,
)
from tests.store_kit import NodeStore

LEASE_MS = 60_000


async def claim(store: NodeStore, *asked: tuple[str, int]) -> list[asyncpg.Record]:
    """What one claim gets, what it puts behind included."""
    endpoints, rooms = [each for each, _ in asked], [room for _, room in asked]
    return await store.rows("deliveries_due", endpoints, rooms, LEASE_MS, 1)


async def done(store: NodeStore, row: asyncpg.Record, status: int, again_ms: int | None) -> None:
    columns = [[row[name]] for name in ("event", "endpoint", "tries")]
    await store.rows("delivery_done", *columns, [status], [again_ms], [], 64)


# --- neighbours -------------------------------------------------------------------------------


async def test_silent_endpoints_hold_up_nobody_else(
    store: NodeStore, sql: asyncpg.Connection
) -> None:
    """One merchant is owed thousands at endpoints that never answer; another's events are all
    delivered before the first of those requests has come to its end. Both are at one host."""
    async with sink() as server:
        silent = [
            await endpoint(sql, "acct_a", server.url(f"/silent/{n}"), livemode=n % 2 == 0)
            for n in range(16)
        ]
        for each in silent:
            await owe(sql, each, 200, age="1 h")
        async with delivering(store) as deliverer:
            await until(lambda: len(server.seen("came", "/silent")) >= SECOND_BELOW)
            good = await endpoint(sql, "acct_b", server.url("/good"))
            events = await owe(sql, good, 50)
            await until_paid(sql, good)
            assert sorted(server.seen("came", "/good")) == sorted(events)
            assert server.seen("hung up", "/silent") == []
            slots = deliverer.slots
            await until(lambda: len(server.seen("came", "/silent")) == slots.running)
            hanging = server.seen("came", "/silent")
            assert len(hanging) == len(set(hanging))
            assert len(hanging) <= SECOND_BELOW + len(silent)
            assert await owed(sql, *silent) == 16 * 200


async def test_a_flood_at_a_slow_endpoint_holds_up_nobody_else(
    store: NodeStore, sql: asyncpg.Connection
) -> None:
    async with sink() as server:
        slow = await endpoint(sql, "acct_a", server.url("/slow"))
        good = await endpoint(sql, "acct_b", server.url("/good"))
        await owe(sql, slow, 20_000, age="1 h")
        async with delivering(store):
            await until(lambda: server.seen("answered", "/slow"))
            await owe(sql, good, 50)
            await until_paid(sql, good)
            assert await owed(sql, slow) > 10_000, "the flood had hardly begun"
            count = len(server.seen("answered", "/slow"))
            await until(lambda: len(server.seen("answered", "/slow")) > count + 3 * ENDPOINT_MAX)
            assert server.most["/slow"] <= ENDPOINT_MAX


async def test_a_merchant_s_own_silent_endpoints_leave_its_others_alone(
    store: NodeStore, sql: asyncpg.Connection
) -> None:
    async with sink() as server:
        for number in range(15):
            await owe(sql, await endpoint(sql, "acct_a", server.url(f"/silent/{number}")), 30)
        async with delivering(store):
            await until(lambda: len(server.seen("came", "/silent")) >= 15)
            good = await endpoint(sql, "acct_a", server.url("/good"))
            await owe(sql, good, 20)
            await until_paid(sql, good)
            assert server.seen("hung up", "/silent") == []


async def test_an_endpoint_out_of_order_is_not_hammered(
    store: NodeStore, sql: asyncpg.Connection
) -> None:
    async with sink() as server:
        broken = await endpoint(sql, "acct_a", server.url("/broken"))
        good = await endpoint(sql, "acct_b", server.url("/good"))
        await owe(sql, broken, 2_000)
        async with delivering(store):
            await until(lambda: len(server.seen("answered", "/broken")) >= ENDPOINT_MAX)
            count = len(server.seen("came", "/broken"))
            assert count < 3 * ENDPOINT_MAX
            await owe(sql, good, 500)
            await until_paid(sql, good)
            assert len(server.seen("came", "/broken")) <= count + 3, "one at a time, with pauses"
            assert await owed(sql, broken) == 2_000


# --- order, leases, ends ----------------------------------------------------------------------


async def test_in_order_with_a_failure_and_released_at_once(
    store: NodeStore, sql: asyncpg.Connection
) -> None:
    async with sink() as server:
        server.statuses = [500]
        to = await endpoint(sql, "acct_a", server.url("/good"))
        first, second, third = await owe(sql, to, 1, versions=3)
        async with delivering(store):
            await until_paid(sql, to)
        assert server.seen("came", "/good") == [first, first, second, third]
        left = await sql.fetch("SELECT status, tries, done_at FROM delivery ORDER BY seq")
        assert [(row["status"], row["tries"]) for row in left] == [(200, 2), (200, 1), (200, 1)]
        assert all(row["done_at"] is not None for row in left)


async def test_what_waits_for_another_is_looked_at_once(
    store: NodeStore, sql: asyncpg.Connection
) -> None:
    to = await endpoint(sql, "acct_a", "http://127.0.0.1:9/")
    await owe(sql, to, 1, versions=30)
    rows = await claim(store, (to, 8))
    assert sorted(row["seq"] for row in rows) == list(range(1, 31))
    assert [(row["seq"], row["tries"]) for row in rows if row["claimed"]] == [(1, 1)]
    assert {row["tries"] for row in rows if not row["claimed"]} == {0}
    assert await claim(store, (to, 8)) == []
    (look,) = await store.rows("deliveries_owed", "", 10)
    assert (look["endpoint"], look["due"]) == (to, False), "nothing to come back for"
    head = next(row for row in rows if row["claimed"])
    await done(store, head, 500, 3_600_000)
    assert await claim(store, (to, 8)) == [], "they wait with it"
    await sql.execute("UPDATE delivery SET next_at = now() WHERE event = $1", head["event"])
    (again,) = [row for row in await claim(store, (to, 8)) if row["claimed"]]
    await done(store, again, 200, None)
    assert [row["seq"] for row in await claim(store, (to, 8)) if row["claimed"]] == [2]


async def test_one_that_is_just_ending_is_not_overtaken_nor_its_next_forgotten(
    store: NodeStore, sql: asyncpg.Connection
) -> None:
    """The end of the first and the claim of the second cross each other: the second is neither
    claimed too early nor put behind something that is over."""
    to = await endpoint(sql, "acct_a", "http://127.0.0.1:9/")
    await owe(sql, to, 1, versions=2)
    (first,) = [row for row in await claim(store, (to, 1)) if row["claimed"]]
    await sql.execute("UPDATE delivery SET next_at = now() WHERE seq = 2")
    async with sql.transaction():
        await sql.execute(
            "UPDATE delivery SET next_at = NULL, done_at = now() WHERE event = $1", first["event"]
        )
        assert await claim(store, (to, 8)) == []
    (second,) = await claim(store, (to, 8))
    assert (second["seq"], second["claimed"]) == (2, True)


async def test_one_that_ends_while_its_next_is_put_behind_it_releases_it(
    store: NodeStore, sql: asyncpg.Connection, dsn: str
) -> None:
    to = await endpoint(sql, "acct_a", "http://127.0.0.1:9/")
    await owe(sql, to, 1, versions=2)
    (first,) = [row for row in await claim(store, (to, 1)) if row["claimed"]]
    await sql.execute("UPDATE delivery SET next_at = now() WHERE seq = 2")
    looking = await asyncpg.connect(dsn)
    async with sql.transaction():
        (behind,) = await sql.fetch(statement("deliveries_due"), [to], [8], LEASE_MS, 1)
        assert (behind["seq"], behind["claimed"]) == (2, False)
        ending = asyncio.create_task(done(store, first, 204, None))
        waits = "SELECT count(*) FROM pg_locks WHERE NOT granted"
        while not await looking.fetchval(waits):
            await asyncio.sleep(0.01)
    await ending
    await looking.close()
    (second,) = await claim(store, (to, 8))
    assert (second["seq"], second["claimed"]) == (2, True)


async def test_two_processes_claim_nothing_twice(
    store: NodeStore, sql: asyncpg.Connection, dsn: str
) -> None:
    endpoints = [await endpoint(sql, "acct_a", "http://127.0.0.1:9/") for _ in range(3)]
    for each in endpoints:
        await owe(sql, each, 60, versions=2)
    other = NodeStore(dsn, lambda: 1, pool_max=4)
    await other.open()
    try:
        asked = [(each, 8) for each in endpoints]
        claimed: list[tuple[str, str]] = []
        for _ in range(200):
            claims = await asyncio.gather(*(claim(each, *asked) for each in (store, other) * 2))
            rows = [row for found in claims for row in found]
            assert all(row["seq"] == 1 for row in rows if row["claimed"])
            for found in claims:
                for each in endpoints:
                    got = [row for row in found if row["endpoint"] == each and row["claimed"]]
                    assert len(got) <= 8
            claimed += [(row["event"], row["endpoint"]) for row in rows if row["claimed"]]
            if not rows and len(claimed) >= 180:
                break
        assert len(claimed) == len(set(claimed)) == 180
    finally:
        await other.close()


async def test_a_try_that_was_overtaken_says_something_only_by_its_success(
    store: NodeStore, sql: asyncpg.Connection
) -> None:
    to = await endpoint(sql, "acct_a", "http://127.0.0.1:9/")
    await owe(sql, to, 1)
    (first,) = await claim(store, (to, 1))
    await sql.execute("UPDATE delivery SET next_at = now()")  # its lease has run out
    (second,) = await claim(store, (to, 1))
    leased = await sql.fetchval("SELECT next_at FROM delivery")
    await done(store, first, 0, 1_000)
    assert await sql.fetchval("SELECT next_at FROM delivery") == leased
    await done(store, first, 200, None)
    assert await owed(sql, to) == 0
    await done(store, second, 0, 1_000)
    assert await owed(sql, to) == 0, "what was delivered is not owed again"
    assert await sql.fetchval("SELECT status FROM delivery") == 200


async def test_what_is_owed_to_an_endpoint_that_is_no_more(
    store: NodeStore, sql: asyncpg.Connection
) -> None:
    async with sink() as server:
        gone = await endpoint(sql, "acct_a", server.url("/gone"))
        off = await endpoint(sql, "acct_a", server.url("/off"))
        await owe(sql, gone, 100, versions=2)
        await owe(sql, off, 10)
        await sql.execute("DELETE FROM webhook_endpoint WHERE id = $1", gone)
        await sql.execute("UPDATE webhook_endpoint SET status = 'disabled' WHERE id = $1", off)
        async with delivering(store):
            await until_paid(sql, gone, off)
            # Made by another process of this node: the table is asked before anything is dropped.
            new = await endpoint(sql, "acct_a", server.url("/new"))
            await owe(sql, new, 3)
            await until_paid(sql, new)
        assert server.log and {path for _, path, _ in server.log} == {"/new"}


async def test_410_disables_the_address_that_said_so(
    store: NodeStore, sql: asyncpg.Connection
) -> None:
    async with sink() as server:
        server.statuses = [410]
        to = await endpoint(sql, "acct_a", server.url("/good"))
        await owe(sql, to, 1)
        async with delivering(store):
            await until_paid(sql, to)
            while await sql.fetchval("SELECT status FROM webhook_endpoint") != "disabled":
                await asyncio.sleep(0.01)
            await owe(sql, to, 3)
            await until_paid(sql, to)
    assert len(server.seen("came", "/good")) == 1
    await sql.execute("UPDATE webhook_endpoint SET status = 'enabled', url = 'https://new/'")
    await store.rows("endpoint_disable", to, server.url("/good"), 2**62)
    assert await sql.fetchval("SELECT status FROM webhook_endpoint") == "enabled"


async def test_each_endpoint_is_told_as_of_its_own_version(
    store: NodeStore, sql: asyncpg.Connection
) -> None:
    """The current one where none is named, or one that was stored before it was looked at."""
    versions = (None, "2026-03-25.dahlia", "2024-06-20", "2015-10-16")
    async with sink() as server:
        names = [await endpoint(sql, "acct_a", server.url(f"/{each}")) for each in versions]
        for name, version in zip(names, versions, strict=True):
            await sql.execute(
                "UPDATE webhook_endpoint SET details = $2 WHERE id = $1",
                name,
                json.dumps({"api_version": version}),
            )
            await owe(sql, name, 1)
        async with delivering(store):
            await until_paid(sql, *names)
        came = [path for kind, path, _ in server.log if kind == "came"]
        told = {path: json.loads(body) for path, body in zip(came, server.bodies, strict=True)}
    assert {path: each["api_version"] for path, each in told.items()} == {
        "/None": CURRENT,
        "/2026-03-25.dahlia": "2026-03-25.dahlia",
        "/2024-06-20": "2024-06-20",
        "/2015-10-16": CURRENT,
    }
    older = {path for path, each in told.items() if "invoice" in each["data"]["object"]}
    assert older == {"/2024-06-20"}


async def test_a_database_that_goes_away_loses_nothing(
    store: NodeStore, sql: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The note of a delivery is lost: it comes again when its lease has run out."""
    rows, lost = store.rows, []

    async def losing(name: str, *args: object) -> list[asyncpg.Record]:
        if name == "delivery_done" and not lost:
            lost.append(args)
            raise asyncpg.InterfaceError("gone")
        return await rows(name, *args)

    monkeypatch.setattr(store, "rows", losing)
    async with sink() as server:
        to = await endpoint(sql, "acct_a", server.url("/good"))
        (event,) = await owe(sql, to, 1)
        async with delivering(store) as deliverer:
            await until(lambda: lost)
            await until(lambda: deliverer.slots.running == 0)
            await sql.execute("UPDATE delivery SET next_at = now()")
            await until_paid(sql, to)
        assert server.seen("came", "/good") == [event, event]
