"""Relay, NATS and overview together: the real broker, stopped, wiped and given poison."""

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import asyncpg
import pytest

from bailiwick.base import events
from bailiwick.bus.client import Bus, BusError, BusRefused
from bailiwick.delivery import relay as relay_module
from bailiwick.delivery.outbox import Outbox
from bailiwick.delivery.relay import CONSUMER, TRIES_MAX, Relay
from bailiwick.overview.database import OverviewDatabase
from bailiwick.overview.reader import Reader
from tests.postgres.relay_kit import SECRET
from tests.postgres.rows_kit import create, done, move
from tests.store_kit import NodeStore
from tests.unit.broker_kit import Server
from tests.waiting import PATIENCE_S, until


@pytest.fixture
async def nats() -> AsyncIterator[Server]:
    with tempfile.TemporaryDirectory(prefix="bwn-") as folder:
        server = Server(Path(folder))
        await server.start()
        yield server
        server.stop()


@pytest.fixture
async def bus(nats: Server) -> AsyncIterator[Bus]:
    made = Bus([nats.url], "node test")
    assert await made.start(wait_s=PATIENCE_S)
    yield made
    await made.close()


@pytest.fixture
async def relay(dsn: str, bus: Bus) -> AsyncIterator[Relay]:
    """A relay that runs, as in a node."""
    ticks = iter(range(10**9))
    made = Relay(1, Outbox(dsn, CONSUMER), bus, SECRET, lambda: 1, lambda: next(ticks))
    running = asyncio.create_task(made.run())
    yield made
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


@pytest.fixture
async def overview(server_dsn: str, bus: Bus) -> AsyncIterator[OverviewDatabase]:
    """An overview that reads, on a schema of its own."""
    connection = await asyncpg.connect(server_dsn)
    schema = "o_" + str(id(bus))
    await connection.execute(f"CREATE SCHEMA {schema}")
    database = OverviewDatabase(f"{server_dsn}?search_path={schema}", 3)
    await database.open()
    running = asyncio.create_task(Reader(bus, database).run())
    yield database
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await database.close()
    await connection.execute(f"DROP SCHEMA {schema} CASCADE")
    await connection.close()


async def pay(store: NodeStore, count: int) -> None:
    made = [create() for _ in range(count)]
    assert all(await done(store, *made))
    assert all(await done(store, *(move(each) for each in made)))


async def carried(bus: Bus) -> set[str]:
    """The ids of all events in the stream."""
    reading = bus.pull(events.STREAM, f"look-{time.monotonic_ns()}")
    found: set[str] = set()
    try:
        state = await bus.state(events.STREAM)
        left = 0 if state is None else state.messages
        while left:
            for message in await reading.fetch(100, wait_s=1):
                found |= {events.decode(each).event for each in events.split(message.data)}
                await message.ack()
                left -= 1
    except BusError:
        pass
    await reading.close()
    return found


def has(
    overview: OverviewDatabase, payments: int, gaps: int = 0
) -> Callable[[], Awaitable[object]]:
    """Whether the overview has so many payments, each with two events or a gap."""

    async def holds() -> bool:
        rows = await overview.rows("find_payments", "~", "", 1000, *[None] * 8)
        whole = sum(row["seen"] == row["highest"] == 2 for row in rows)
        return len(rows) == payments and whole == payments - gaps

    return holds


async def test_nothing_is_lost_when_the_broker_is_stopped_and_wiped(
    store: NodeStore, nats: Server, bus: Bus, relay: Relay, overview: OverviewDatabase
) -> None:
    await pay(store, 5)
    await until(has(overview, 5))
    nats.stop()
    await pay(store, 5)
    await until(lambda: relay.backlog.waiting == 10)
    await nats.start()
    await until(has(overview, 10))
    nats.stop()
    nats.wipe()
    await nats.start()

    async def filled() -> bool:
        return bus.connected and len(await carried(bus)) == 20

    await until(filled)
    await pay(store, 2)
    await until(has(overview, 12))
    assert (await overview.rows("counts"))[0] == {
        "duplicates": 0, "forks": 0, "gaps": 0, "events": 24,
    }  # fmt: skip


async def test_the_broker_keeps_an_event_once(
    store: NodeStore, bus: Bus, dsn: str, sql: asyncpg.Connection
) -> None:
    """A relay that begins again within the broker's window stores nothing twice."""
    await pay(store, 3)
    ticks = iter(range(10**9))
    again = Relay(1, Outbox(dsn, CONSUMER), bus, SECRET, lambda: 1, lambda: next(ticks))
    for _ in range(2):
        await sql.execute("UPDATE relay SET origin = NULL")
        while await again.step() == 0.0:
            pass
    state = await bus.state(events.STREAM)
    assert state is not None
    assert state.messages == 1
    assert len(await carried(bus)) == 6
    assert again.published == 12
    await again._outbox.close()


async def test_what_the_broker_calls_too_large_is_parked(
    store: NodeStore,
    bus: Bus,
    dsn: str,
    overview: OverviewDatabase,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The stream's own bound, and the error that the server gives for it."""
    poison = create(event_type="x" * 2 * relay_module.MESSAGE_BYTES_MAX)
    assert all(await done(store, poison))
    assert all(await done(store, move(poison)))
    await pay(store, 2)
    ticks = iter(range(10**9))
    relay = Relay(1, Outbox(dsn, CONSUMER), bus, SECRET, lambda: 1, lambda: next(ticks))
    refused = 0
    for _ in range(TRIES_MAX + 2):
        try:
            while await relay.step() == 0.0:
                pass
        except BusRefused:
            refused += 1
    assert refused == TRIES_MAX - 1
    await until(has(overview, 3, gaps=1))
    await relay._outbox.close()
