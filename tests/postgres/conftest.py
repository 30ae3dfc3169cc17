"""One PostgreSQL server for all tests here, and a schema of its own for each of them."""

import asyncio
import os
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest

from bailiwick.delivery.relay import Relay
from bailiwick_lab.servers import engines
from bailiwick_lab.servers.engines import PostgresServer
from tests.postgres import schemas
from tests.postgres.node_kit import Bank, Region
from tests.postgres.relay_kit import Broker, relay_on
from tests.postgres.schemas import drop_idle, migrated
from tests.store_kit import NodeStore

NODE = 1
TEST_DSN = "BAILIWICK_TEST_DSN"


ROOM = {"max_connections": "200"}
"""Several whole nodes share the server here, each with as many connections as it likes."""


@pytest.fixture(scope="session")
def server_dsn() -> Iterator[str]:
    """A running server: the one that the environment names, or else one of our own."""
    given = os.environ.get(TEST_DSN)
    if given:
        yield given
        asyncio.run(drop_idle(given))
        return
    # Not pytest's tmp_path: that lies under a folder only root can enter.
    place = Path(tempfile.mkdtemp(prefix="bw-"))
    place.chmod(0o755)
    server = asyncio.run(PostgresServer.start(place / "postgres", settings=ROOM))
    yield server.tcp_dsn
    asyncio.run(server.stop())
    engines.remove(place / "postgres")
    shutil.rmtree(place, ignore_errors=True)


@pytest.fixture
async def schema_dsn(server_dsn: str) -> AsyncIterator[str]:
    """An empty schema; connections made with this DSN see only it."""
    name = f"t_{secrets.token_hex(6)}"
    connection = await asyncpg.connect(server_dsn)
    await connection.execute(f"CREATE SCHEMA {name}")
    try:
        yield f"{server_dsn}?search_path={name}"
    finally:
        await connection.execute("SET client_min_messages = error")
        await connection.execute(f"DROP SCHEMA {name} CASCADE")
        await connection.close()


@pytest.fixture
def fresh_schemas(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests of plans: these depend on what was learnt of tables in earlier tests."""
    monkeypatch.setattr(schemas, "reusing", False)


@pytest.fixture
async def dsn(server_dsn: str) -> AsyncIterator[str]:
    """A migrated database of node 1."""
    async with migrated(server_dsn, NODE) as made:
        yield made


@pytest.fixture
async def sql(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection of the test's own."""
    connection = await asyncpg.connect(dsn)
    yield connection
    await connection.close()


@pytest.fixture
async def store(dsn: str) -> AsyncIterator[NodeStore]:
    """An open store at epoch 1."""
    opened = NodeStore(dsn, lambda: 1, pool_max=4)
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture
def bank() -> Bank:
    """A bank that approves until it is told otherwise."""
    return Bank()


@pytest.fixture
def region(store: NodeStore, bank: Bank) -> Region:
    """A node's pieces with one bank."""
    return Region(store, bank)


@pytest.fixture
def broker() -> Broker:
    """Takes everything until it is told otherwise."""
    return Broker()


@pytest.fixture
async def relay(dsn: str, broker: Broker) -> AsyncIterator[Relay]:
    """A node's relay on it."""
    made = relay_on(dsn, broker)
    yield made
    await made._outbox.close()
