"""Connections that break under a batch: what was written is found again, nothing is guessed."""

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from bailiwick.base.clock import boot_ns
from bailiwick.orders.executor import permit
from bailiwick.store.lanes import WriteInDoubt, Written
from bailiwick.store.migrate import migrate
from bailiwick_lab.servers import engines
from bailiwick_lab.servers.engines import PostgresServer
from tests.faultproxy import FaultProxy, Stream
from tests.postgres.rows_kit import create, done, move, refuse, sound, waits_for_lock, write
from tests.store_kit import NodeStore
from tests.waiting import PATIENCE_S, until


@contextlib.asynccontextmanager
async def taken(dsn: str, key: str) -> AsyncIterator[None]:
    """Claim a key without committing that: whoever wants it waits. At the end it is free."""
    holder = await asyncpg.connect(dsn)
    try:
        await holder.execute("BEGIN")
        await holder.execute(
            "INSERT INTO idempotency_key (identity, merchant, livemode, key, request_hash,"
            " operation, writer, created_ms)"
            " VALUES (key_identity('acct_1', false, $1), 'acct_1', false, $1, 'h', 'x', 1, 1)",
            key,
        )
        yield
    finally:
        await holder.close()


@pytest.fixture
async def proxy(server_dsn: str) -> AsyncIterator[FaultProxy]:
    parts = urlsplit(server_dsn)
    async with FaultProxy(parts.hostname or "", parts.port or 0) as running:
        yield running


@pytest.fixture
async def far(dsn: str, proxy: FaultProxy) -> AsyncIterator[NodeStore]:
    """A store whose connections all lead through the proxy."""
    port = urlsplit(dsn).port
    opened = NodeStore(dsn.replace(f":{port}/", f":{proxy.port}/"), lambda: 1, pool_max=2)
    await opened.open()
    yield opened
    proxy.clear()
    await opened.close()


async def cut(proxy: FaultProxy, stream: Stream) -> None:
    """Cut every connection at its next byte in a direction, until somebody connects anew."""
    connections = proxy.connections
    proxy.add("reset_peer", stream)
    await until(lambda: proxy.connections != connections)
    proxy.clear()


async def test_an_answer_lost_after_the_commit_is_found_by_its_token(
    far: NodeStore, proxy: FaultProxy, sql: asyncpg.Connection
) -> None:
    rows = [create() for _ in range(5)]
    cutting = asyncio.ensure_future(cut(proxy, "downstream"))
    await asyncio.sleep(0)
    rival = create(key=rows[0].key)
    fates = await write(far, *rows, rival)
    await cutting
    won = []
    for row, fate in zip([*rows, rival], fates, strict=True):
        if isinstance(fate, WriteInDoubt):
            assert row.key == rival.key, "not there under its token: not ours to claim"
            continue
        assert isinstance(fate, Written) and fate.done
        assert permit(fate.begun_boot_ns).expires_boot_ns < boot_ns(), (
            "nothing may be sent on such a permit"
        )
        assert await sql.fetchval("SELECT writer FROM payment WHERE id = $1", row.id) == row.writer
        won.append(row)
    assert len(won) == len(rows), "one of the two that shared a key"
    cutting = asyncio.ensure_future(cut(proxy, "downstream"))
    await asyncio.sleep(0)
    moved = await write(far, *[move(row) for row in won])
    await cutting
    assert all(isinstance(fate, Written) and fate.done for fate in moved)
    assert await done(far, create(), create()) == [True, True]
    await sound(sql)


async def test_a_batch_that_never_arrived_is_in_doubt(
    far: NodeStore, proxy: FaultProxy, sql: asyncpg.Connection
) -> None:
    row = create()
    cutting = asyncio.ensure_future(cut(proxy, "upstream"))
    await asyncio.sleep(0)
    (fate,) = await write(far, row)
    await cutting
    assert isinstance(fate, WriteInDoubt)
    assert await far.payment(row.id) is None
    assert await done(far, row) == [True], "the same row may be tried again"
    await sound(sql)


async def test_a_terminated_backend(store: NodeStore, sql: asyncpg.Connection, dsn: str) -> None:
    """Killed while its batch waits: rolled back, in doubt, and the lane goes on."""
    row = create()
    async with taken(dsn, row.key):
        waiting = store.creates.write(row)
        pid = store.creates._backend_pid
        await until(lambda: waits_for_lock(sql, pid))
        assert not waiting.done()
        assert await sql.fetchval("SELECT pg_terminate_backend($1)", pid)
        with pytest.raises(WriteInDoubt):
            await waiting
    assert await store.payment(row.id) is None
    assert await done(store, row, create()) == [True, True]
    await sound(sql)


async def test_what_is_cut_while_nothing_is_under_way_is_not_in_doubt(
    store: NodeStore, sql: asyncpg.Connection
) -> None:
    """A server that was started again, or something between that ends idle connections."""
    row = create()
    assert await done(store, row) == [True]
    lost = {lane._backend_pid for lane in store.lanes.values()}
    for pid in lost:
        await sql.execute("SELECT pg_terminate_backend($1)", pid)
    await until(
        lambda: all(lane._connection and lane._connection.is_closed() for lane in store._every)
    )
    assert await done(store, move(row), create()) == [True, True]
    assert (await store.refuse(refuse("draining", 1, "k9"))).done
    wrote = (store.creates, store.moves, store.refusals)
    assert not lost & {lane._backend_pid for lane in wrote}
    assert not any(lane.doubtful for lane in store.lanes.values())
    await sound(sql)


async def test_a_backend_that_lost_its_client_is_ended_before_we_look(
    far: NodeStore, proxy: FaultProxy, sql: asyncpg.Connection, dsn: str
) -> None:
    """Else it could commit after we had looked, and "not there" would have been a guess."""
    row = create()
    async with taken(dsn, row.key):
        waiting = far.creates.write(row)
        pid = far.creates._backend_pid
        await until(lambda: waits_for_lock(sql, pid))
        proxy.reset_all()
        with pytest.raises(WriteInDoubt):
            await asyncio.wait_for(waiting, PATIENCE_S)
        assert not await sql.fetchval("SELECT 1 FROM pg_stat_activity WHERE pid = $1", pid)
    assert await sql.fetchval("SELECT count(*) FROM payment") == 0
    assert await done(far, row) == [True]


@pytest.mark.parametrize("when", range(4))
async def test_a_backend_killed_at_any_moment_under_load(
    store: NodeStore, sql: asyncpg.Connection, when: int
) -> None:
    rows = [create() for _ in range(800)]
    waiting = asyncio.ensure_future(write(store, *rows))
    await asyncio.sleep(0.004 * (when + 1))
    for lane in (store.creates, store.moves):
        await sql.execute("SELECT pg_terminate_backend($1)", lane._backend_pid)
    fates = await waiting
    there = {record[0] for record in await sql.fetch("SELECT id FROM payment")}
    for row, fate in zip(rows, fates, strict=True):
        if isinstance(fate, Written):
            assert fate.done and row.id in there
        else:
            assert isinstance(fate, WriteInDoubt)
    moves = await write(store, *[move(row) for row in rows if row.id in there])
    assert all(isinstance(fate, Written | WriteInDoubt) for fate in moves)
    await sound(sql)
    assert await done(store, create()) == [True]


async def test_a_server_stopped_hard_and_started_again() -> None:
    place = Path(tempfile.mkdtemp(prefix="bw-"))
    place.chmod(0o755)
    server = await PostgresServer.start(place / "postgres")
    port = server.port
    try:
        connection = await asyncpg.connect(server.dsn)
        await migrate(connection, 1)
        await connection.close()
        store = NodeStore(server.tcp_dsn, lambda: 1, pool_max=2)
        await store.open()
        rows = [create() for _ in range(3_000)]
        waiting = asyncio.ensure_future(write(store, *rows))
        await asyncio.sleep(0.05)
        await server.stop("immediate")
        server = await PostgresServer.start(place / "postgres", port=port)
        fates = await asyncio.wait_for(waiting, PATIENCE_S)
        connection = await asyncpg.connect(server.dsn)
        there = {record[0] for record in await connection.fetch("SELECT id FROM payment")}
        for row, fate in zip(rows, fates, strict=True):
            if isinstance(fate, Written):
                assert fate.done and row.id in there, "told done: it survived the crash"
            else:
                assert isinstance(fate, WriteInDoubt)
        await sound(connection)
        await connection.close()
        assert await done(store, create()) == [True]
        await store.close()
    finally:
        await server.stop()
        engines.remove(place / "postgres")
        shutil.rmtree(place, ignore_errors=True)
