"""A synchronous standby: nothing acknowledged is lost when the primary is, and no more is
acknowledged without the standby."""

import asyncio
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from bailiwick_lab.servers import engines, standby
from bailiwick_lab.servers.binaries import EngineError
from bailiwick_lab.servers.engines import PostgresServer
from bailiwick_lab.servers.ports import free_port


@pytest.fixture
def place() -> Iterator[Path]:
    # Not pytest's tmp_path: that lies under a folder only root can enter.
    folder = Path(tempfile.mkdtemp(prefix="bw-"))
    folder.chmod(0o755)
    yield folder
    for each in ("first", "second", "third"):
        engines.remove(folder / each)
    shutil.rmtree(folder, ignore_errors=True)


async def execute(dsn: str, sql: str) -> object:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


async def test_promoted_with_everything_acknowledged(place: Path) -> None:
    primary = await PostgresServer.start(place / "first")
    second: PostgresServer | None = None
    third: PostgresServer | None = None
    try:
        link = await standby.admit(primary, ["127.0.0.0/8"], "second")
        port = free_port([primary.port])
        second = await standby.make(place / "second", link, port=port, listen="127.0.0.1")
        await standby.require(primary, link)
        await execute(primary.tcp_dsn, "CREATE TABLE t (n int)")
        for number in range(20):
            await execute(primary.tcp_dsn, f"INSERT INTO t VALUES ({number})")
        with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
            await execute(second.tcp_dsn, "INSERT INTO t VALUES (99)")

        await primary.stop("immediate")
        await standby.promote(second)
        assert await execute(second.tcp_dsn, "SELECT count(*) FROM t") == 20
        await execute(second.tcp_dsn, "INSERT INTO t VALUES (20)")

        link = await standby.admit(second, ["127.0.0.0/8"], "second")
        port = free_port([second.port])
        third = await standby.make(place / "third", link, port=port, listen="127.0.0.1")
        await standby.require(second, link)
        await third.stop("fast")
        # The standby is away: a commit waits, so nobody is told of it.
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.0):
                await execute(second.tcp_dsn, "INSERT INTO t VALUES (21)")
    finally:
        for server in (primary, second, third):
            if server is not None:
                await server.stop("immediate")


async def test_what_cannot_be_is_said(place: Path) -> None:
    primary = await PostgresServer.start(place / "first")
    try:
        with pytest.raises(ValueError, match="small letters"):
            await standby.admit(primary, [], "no; DROP")
        link = await standby.admit(primary, ["127.0.0.0/8"], "second")
        with pytest.raises(EngineError, match="holds a server already"):
            await standby.make(place / "first", link, port=free_port(), listen="127.0.0.1")
        with pytest.raises(EngineError, match="does not follow"):
            await standby.require(primary, link, timeout=0.3)
    finally:
        await primary.stop()
