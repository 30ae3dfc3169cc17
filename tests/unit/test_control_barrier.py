"""After a lost commit nothing is believed that the server may hold alone (see ``store.lanes``)."""

import asyncio
from typing import Any, cast

import asyncpg
import msgspec
import pytest

from bailiwick.store.lanes import Lane, WriteInDoubt, Written
from tests.waiting import PATIENCE_S


class Wish(msgspec.Struct, frozen=True):
    id: str
    writer: int
    seldom: bool = False


class Server:
    """A database in memory: what it was told, in order; ``loses``: it drops the next batch."""

    def __init__(self, *, loses: bool = True, barrier: Exception | None = None) -> None:
        self.told: list[str] = []
        self.loses = loses
        self.barrier = barrier
        self.shows: set[int] = set()
        self.pid = 0

    async def connect(self) -> Any:
        self.pid += 1
        return Session(self, self.pid)

    async def verify(self, _: Any, rows: list[Wish]) -> set[int]:
        self.told.append("read")
        return {row.writer for row in rows} & self.shows

    def lane(self) -> Lane[Wish]:
        connect, verify = cast(Any, self.connect), cast(Any, self.verify)
        return Lane("test", "write", "write", connect, verify, lambda: 1, "barrier")


class Session:
    """One connection, and its prepared statement."""

    def __init__(self, server: Server, pid: int) -> None:
        self._server, self._pid = server, pid

    def get_server_pid(self) -> int:
        return self._pid

    def is_closed(self) -> bool:
        return False

    async def prepare(self, sql: str) -> "Session":
        return self

    async def fetch(self, rows: list[Any], epoch: int) -> list[tuple[int]]:
        if not rows:
            return []
        self._server.told.append("batch")
        if self._server.loses:
            self._server.loses = False
            raise asyncpg.ConnectionDoesNotExistError("lost")
        return [(row[1],) for row in rows]

    async def execute(self, sql: str, *args: object) -> None:
        self._server.told.append("end backend" if "terminate" in sql else sql)
        if sql == "barrier" and self._server.barrier is not None:
            raise self._server.barrier

    async def fetchval(self, *_: object) -> None:
        return None

    def terminate(self) -> None: ...

    async def close(self) -> None: ...


async def fate(lane: Lane[Wish], writer: int = 7) -> Written | BaseException:
    await lane.start()
    try:
        async with asyncio.timeout(PATIENCE_S):
            return (await asyncio.gather(lane.write(Wish("a", writer)), return_exceptions=True))[0]
    finally:
        await lane.stop()


async def test_a_commit_comes_before_the_reading() -> None:
    server = Server()
    server.shows = {7}
    lane = server.lane()
    found = await fate(lane)
    assert isinstance(found, Written)
    assert found.done
    assert server.told == ["batch", "end backend", "barrier", "read"]
    assert not lane.doubtful


@pytest.mark.parametrize(
    "problem", [TimeoutError(), asyncpg.ReadOnlySQLTransactionError("standby")]
)
async def test_without_that_commit_nothing_is_read(problem: Exception) -> None:
    server = Server(barrier=problem)
    server.shows = {7}  # the old primary still shows it, and nobody else ever will
    lane = server.lane()
    assert isinstance(await fate(lane), WriteInDoubt)
    assert "read" not in server.told
    assert lane.doubtful, "what shows here may not be durable"


async def test_a_later_commit_ends_the_doubt() -> None:
    server = Server(barrier=TimeoutError())
    lane = server.lane()
    await lane.start()
    with pytest.raises(WriteInDoubt):
        await lane.write(Wish("a", 1))
    server.barrier = None
    assert (await lane.write(Wish("b", 2))).done
    assert not lane.doubtful
    await lane.stop()


async def test_nothing_of_this_happens_while_all_is_well() -> None:
    server = Server(loses=False)
    found = await fate(server.lane())
    assert isinstance(found, Written)
    assert server.told == ["batch"]
