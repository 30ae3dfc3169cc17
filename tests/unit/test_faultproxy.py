"""The fault proxy itself: a tool that lies about faults proves nothing."""

import asyncio
import time

import pytest

from bailiwick_lab.servers.scripted import Last, ScriptedServer, http
from tests.faultproxy import FaultProxy
from tests.waiting import PATIENCE_S

OK = http(200, b"0123456789")
ASK = b"POST / HTTP/1.1\r\ncontent-length: 2\r\n\r\nhi"


async def ask(port: int) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(ASK)
        return await asyncio.wait_for(reader.read(), PATIENCE_S)
    finally:
        writer.close()


async def test_without_toxics_it_is_transparent() -> None:
    async with ScriptedServer(Last(OK)) as server, FaultProxy("127.0.0.1", server.port) as proxy:
        assert await ask(proxy.port) == OK
        assert server.bodies == [b"hi"]
        assert proxy.seen == {"upstream": len(ASK), "downstream": len(OK)}


async def test_latency_and_slow_close() -> None:
    async with ScriptedServer(Last(OK)) as server, FaultProxy("127.0.0.1", server.port) as proxy:
        proxy.add("latency", latency=100)
        proxy.add("slow_close", delay=100)
        started = time.monotonic()
        assert await ask(proxy.port) == OK
        assert time.monotonic() - started >= 0.19


async def test_bandwidth() -> None:
    async with ScriptedServer(Last(OK)) as server, FaultProxy("127.0.0.1", server.port) as proxy:
        proxy.add("bandwidth", rate=1)
        started = time.monotonic()
        assert await ask(proxy.port) == OK
        assert time.monotonic() - started >= len(OK) / 1000 * 0.9


@pytest.mark.parametrize("limit", [0, 1, 30])
async def test_limit_data(limit: int) -> None:
    async with ScriptedServer(Last(OK)) as server, FaultProxy("127.0.0.1", server.port) as proxy:
        proxy.add("limit_data", bytes=limit)
        assert await ask(proxy.port) == OK[:limit]


async def test_slicer_keeps_the_bytes() -> None:
    async with ScriptedServer(Last(OK)) as server, FaultProxy("127.0.0.1", server.port) as proxy:
        proxy.add("slicer", "upstream", average_size=3, size_variation=1)
        proxy.add("slicer", average_size=5, size_variation=4, delay=10)
        assert await ask(proxy.port) == OK


@pytest.mark.parametrize(("stream", "requests"), [("upstream", 0), ("downstream", 1)])
async def test_reset_peer(stream: str, requests: int) -> None:
    async with ScriptedServer(OK) as server, FaultProxy("127.0.0.1", server.port) as proxy:
        proxy.add("reset_peer", stream)  # type: ignore[arg-type]
        with pytest.raises(ConnectionResetError):
            await ask(proxy.port)
        proxy.clear()
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(ASK)
        await reader.readexactly(len(OK))  # it comes after all that was sent before
        writer.close()
        assert server.requests == requests + 1


async def test_timeout_and_toxicity() -> None:
    async with ScriptedServer(Last(OK)) as server, FaultProxy("127.0.0.1", server.port) as proxy:
        proxy.add("timeout", timeout=20)
        assert await ask(proxy.port) == b""
        proxy.clear()
        proxy.add("timeout", toxicity=0.0, timeout=20)
        assert await ask(proxy.port) == OK


async def test_down_and_up_again() -> None:
    async with ScriptedServer(Last(OK)) as server, FaultProxy("127.0.0.1", server.port) as proxy:
        await proxy.down()
        with pytest.raises(ConnectionRefusedError):
            await ask(proxy.port)
        await proxy.up()
        assert await ask(proxy.port) == OK


async def test_unknown_toxics_are_refused() -> None:
    with pytest.raises(ValueError, match="unknown toxic"):
        FaultProxy("127.0.0.1", 1).add("gremlin")
