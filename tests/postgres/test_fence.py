"""The fence on real servers: what it waits for, what it stops, and a standby that takes over."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest

from bailiwick.channels.contract import Operation
from bailiwick.control import database, fencing, moving, publishing
from bailiwick.control.fleet import Fleet, FleetNode
from bailiwick.control.plans import ControlError, carry_out
from bailiwick.control.site import Site
from bailiwick.store import database as store_module
from bailiwick.store import lanes
from bailiwick.store.lanes import WriteInDoubt
from bailiwick.store.migrate import migrate
from bailiwick.store.statements import statement
from bailiwick_lab.servers import engines, standby
from bailiwick_lab.servers.engines import PostgresServer
from tests.postgres.node_kit import Bank, Region, paid
from tests.postgres.rows_kit import create, done, refuse, sound, waits_for_lock
from tests.postgres.test_lost import taken
from tests.store_kit import NodeStore
from tests.waiting import PATIENCE_S, until


async def test_a_fence_waits_for_the_batch_under_way_and_stops_the_next(
    store: NodeStore, sql: asyncpg.Connection, dsn: str
) -> None:
    row, other = create(), create()
    async with taken(dsn, row.key):
        waiting = store.creates.write(row)
        await until(lambda: waits_for_lock(sql, store.creates._backend_pid))
        fence = asyncio.ensure_future(database.close_fence(sql, 3))
        later = store.creates.write(other)
        watcher = await asyncpg.connect(dsn)
        await until(lambda: waits_for_lock(watcher, sql.get_server_pid()))
        await watcher.close()
        assert not fence.done(), "a batch holds the row"
    assert (await waiting).done
    assert await fence == database.Fence(1, 3, True, False)
    # What was queued may have come in just before the fence, but then it is there.
    assert (await later).done is (await store.payment(other.id) is not None)
    assert await done(store, create()) == [False]
    await sound(sql)


async def test_a_fence_that_cannot_be_had_is_told(
    sql: asyncpg.Connection, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "FENCE_S", 0.2)
    holder = await asyncpg.connect(dsn)
    await holder.execute("BEGIN; SELECT FROM fence FOR SHARE")
    with pytest.raises(ControlError, match="not confirmed"):
        await database.close_fence(sql, 3)
    await holder.close()
    assert (await database.close_fence(sql, 3)).fenced


async def test_whoever_is_behind_the_fence_s_epoch_does_nothing(
    store: NodeStore, sql: asyncpg.Connection, dsn: str
) -> None:
    """A zombie of an older epoch: no write, no replay, no look at what is open, no webhook."""
    row = create()
    assert await done(store, row) == [True]
    await store.sweep(0)
    await sql.execute("UPDATE attempt SET next_check_at = now()")
    await database.close_fence(sql, 1)
    assert (await database.open_fence(sql, 2)).epoch == 2
    assert await done(store, create()) == [False]
    assert await store.due(10, 1_000) == []
    assert await store.sweep(0) == []
    replay = ("attempt_replay", row.attempt_id, 0, 60_000.0)
    assert await store.row(*replay, store.epoch()) is None
    await sql.execute("INSERT INTO delivery VALUES ($1, 'we_1', $2, 1)", row.event_id, row.id)
    wanted = ("deliveries_due", ["we_1"], [10], 1_000)
    assert await store.rows(*wanted, store.epoch()) == []
    successor = NodeStore(dsn, lambda: 2, pool_max=2)
    await successor.open()
    assert [each.id for each in await successor.due(10, 1_000)] == [row.attempt_id]
    assert await successor.row(*replay, successor.epoch()) is not None
    assert len(await successor.rows(*wanted, successor.epoch())) == 1
    assert await done(successor, create()) == [True]
    await successor.close()


async def test_a_process_that_was_superseded_writes_under_no_fence(
    dsn: str, sql: asyncpg.Connection
) -> None:
    store = NodeStore(dsn, lambda: 0, pool_max=2)
    await store.open()
    assert await done(store, create()) == [False]
    assert await store.due(10, 1_000) == []
    await store.close()


async def test_what_is_open_is_counted(region: Region, bank: Bank, sql: asyncpg.Connection) -> None:
    assert await database.is_new(sql)
    assert await database.open_attempts(sql) == database.Open()
    await paid(region, "k1")
    held = await paid(region, "k2", capture_method="manual")
    assert held["status"] == "requires_capture"
    for key, word in (("k3", "lost"), ("k4", "pending"), ("k5", "act")):
        bank.script[Operation.CHARGE] = [word]
        await region.pay(key)
    found = await database.open_attempts(sql)
    assert (found.under_way, found.pending, found.refunds) == (1, 2, 0)
    assert "1 under way" in found.words()
    left = await database.remaining(sql)
    assert left is not None
    assert (left.action, left.capture, left.refunds) == (1, 1, 0)
    assert len(left.words()) == 2
    assert not await database.is_new(sql)


async def test_a_refused_canary_does_not_make_a_database_used_but_a_refused_key_does(
    store: NodeStore, sql: asyncpg.Connection
) -> None:
    canary = msgspec.structs.replace(refuse("no_gateway", 1, "c"), key="canary-1-x-create")
    assert (await store.refuse(canary)).done
    assert await database.is_new(sql)
    assert (await store.refuse(refuse("overloaded", 2, "k1", "k2"))).done
    assert not await database.is_new(sql)


async def test_what_each_node_has_is_copied_once(sql: asyncpg.Connection) -> None:
    tables = ("webhook_endpoint", "configuration")
    await sql.execute(
        "INSERT INTO webhook_endpoint VALUES"
        " ('we_1', 'acct_1', false, 'https://x', 'whsec_1', '[\"*\"]', 'disabled', 1, '{}');"
        "INSERT INTO configuration VALUES ('pmc_1', 'acct_1', true, 1, '{}', 7)"
    )
    rows = {statement(f"{each}_every"): await sql.fetch(statement(f"{each}_every"))
            for each in tables}  # fmt: skip
    whole = [await sql.fetch(f"SELECT * FROM {each}") for each in tables]
    await sql.execute("DELETE FROM webhook_endpoint; DELETE FROM configuration")

    class Other:
        async def fetch(self, text: str) -> list[asyncpg.Record]:
            return rows[text]

    other: Any = Other()
    assert await database.copy_everywhere(other, sql) == 2
    assert await database.copy_everywhere(other, sql) == 0
    found = [await sql.fetch(f"SELECT * FROM {each}") for each in tables]
    assert found == whole, "the status too: what was disabled stays so"


# --- a standby takes over ---------------------------------------------------------------------

TOPOLOGY = """
[[nodes]]
number = 1
name = "europe"
url = "http://127.0.0.1:1"
[[rules]]
places = ["default"]
nodes = ["europe"]
residency = "free"
"""


class Pair:
    """A primary with its synchronous standby, and their operator."""

    def __init__(self, place: Path, primary: PostgresServer, second: PostgresServer) -> None:
        self.primary = primary
        self.second = second
        world = place / "world"
        world.mkdir()
        (world / "topology.toml").write_text(TOPOLOGY)
        (world / "merchants.toml").write_text('[[merchants]]\nid = "acct_1"\nname = "A"\n')
        key = place / "world.key"
        publishing.initialise(world, publishing.make_key(key))
        node = FleetNode(
            name="europe", dsn=primary.tcp_dsn, standby_dsn=second.admin_dsn, config=""
        )
        self.site = Site(Fleet(world, key, b"secret", {"europe": node}), None, None)


@pytest.fixture
async def pair(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Pair]:
    monkeypatch.setattr(fencing, "PERMIT_S", 0.0)
    place = Path(tempfile.mkdtemp(prefix="bw-"))
    place.chmod(0o755)
    folders = [place / "postgres-1", place / "postgres-2"]
    servers = [await PostgresServer.start(folders[0])]
    try:
        connection = await asyncpg.connect(servers[0].dsn)
        await migrate(connection, 1)
        await connection.close()
        link = await standby.admit(servers[0], ["127.0.0.1/32"], "second")
        port = engines.free_port([servers[0].port])
        servers.append(await standby.make(folders[1], link, port=port, listen="127.0.0.1"))
        await standby.require(servers[0], link)
        yield Pair(place, servers[0], servers[1])
    finally:
        for server in servers:
            await server.stop("immediate")
        for folder in folders:
            engines.remove(folder)
        shutil.rmtree(place, ignore_errors=True)


async def test_a_lost_primary_loses_nothing_and_its_node_goes_on(pair: Pair) -> None:
    old = NodeStore(pair.primary.tcp_dsn, lambda: 1, pool_max=2)
    await old.open()
    rows = [create() for _ in range(500)]
    assert all(await done(old, *rows))
    with pytest.raises(ControlError, match="standby"):  # nobody serves a standby as it is
        await carry_out(
            await moving.adopt(pair.site, "europe", dsn=pair.second.admin_dsn, url="http://b:1")
        )
    last = [old.creates.write(create()) for _ in range(500)]
    await asyncio.sleep(0.01)
    await pair.primary.stop("immediate")
    for future in last:
        future.add_done_callback(lambda each: each.cancelled() or each.exception())
    closing = asyncio.ensure_future(old.close())
    done_ = await carry_out(await fencing.fence(pair.site, "europe", promote=True))
    assert done_.facts["promoted"] is True
    new = NodeStore(pair.second.tcp_dsn, lambda: 1, pool_max=2)
    await new.open()
    connection = await asyncpg.connect(pair.second.dsn)
    there = {row[0] for row in await connection.fetch("SELECT id FROM payment")}
    assert {row.id for row in rows} <= there, "nothing that was acknowledged is missing"
    await sound(connection)
    assert await done(new, create()) == [False], "fenced there"
    await carry_out(
        await moving.adopt(pair.site, "europe", dsn=pair.second.tcp_dsn, url="http://b:1")
    )
    assert await done(new, create()) == [False], "a process of the epoch before"
    await new.close()
    new = NodeStore(pair.second.tcp_dsn, lambda: 2, pool_max=2)
    await new.open()
    assert await done(new, create()) == [True]
    await new.close()
    await connection.close()
    closing.cancel()
    await asyncio.gather(closing, return_exceptions=True)


async def test_a_primary_that_lost_its_standby_to_a_promotion_is_believed_nothing(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It still runs, and shows rows that only it has: they are neither sent nor told."""
    connect = asyncpg.connect

    def hasty(*args: Any, **values: Any) -> Any:
        return connect(*args, **{**values, "command_timeout": 1.0})

    store = NodeStore(pair.primary.tcp_dsn, lambda: 1, pool_max=2)
    await store.open()
    assert await done(store, create()) == [True]
    monkeypatch.setattr(store_module, "SURE_S", 1.0)
    monkeypatch.setattr(lanes, "RECONNECT_S", 2.0)
    monkeypatch.setattr(store_module.asyncpg, "connect", hasty)
    promoter = await connect(pair.second.admin_dsn)
    await database.promote(promoter)
    row = create()
    waiting = store.creates.write(row)
    admin = await connect(pair.primary.admin_dsn)
    waiting_for_it = "SELECT 1 FROM pg_stat_activity WHERE pid = $1 AND wait_event = 'SyncRep'"
    await until(lambda: admin.fetchval(waiting_for_it, store.creates._backend_pid))
    assert await admin.fetchval("SELECT count(*) FROM payment WHERE id = $1", row.id) == 0
    await admin.execute("SELECT pg_terminate_backend($1)", store.creates._backend_pid)
    with pytest.raises(WriteInDoubt):
        await asyncio.wait_for(waiting, PATIENCE_S)
    assert await admin.fetchval("SELECT count(*) FROM payment WHERE id = $1", row.id) == 1
    assert await promoter.fetchval("SELECT count(*) FROM payment WHERE id = $1", row.id) == 0
    with pytest.raises(TimeoutError):
        await store.key(row.identity)
    with pytest.raises(TimeoutError):
        await store.payment(row.id)
    await promoter.close()
    await admin.close()
    await asyncio.wait_for(store.close(), PATIENCE_S)
