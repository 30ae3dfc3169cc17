"""The transport when connections break: what was sent is never sent again nor called unsent."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp.http import StreamWriter

from bailiwick.channels import http as module
from bailiwick.channels.base import Exchange, Phase, Request
from bailiwick.channels.http import HttpTransport
from tests.faultproxy import FaultProxy
from tests.scripted import Last, ScriptedServer, http
from tests.unit.transport_kit import FAST, HASTY, OK, answered, fresh, get, post


@pytest.fixture
async def transport() -> AsyncIterator[HttpTransport]:
    made = HttpTransport()
    yield made
    await made.close()


@pytest.mark.parametrize("method", ["POST", "GET", "PUT", "DELETE"])
@pytest.mark.parametrize("stream", ["upstream", "downstream"])
async def test_a_reset_on_a_reused_connection_is_not_resent(
    transport: HttpTransport, method: str, stream: str
) -> None:
    async with ScriptedServer(OK) as server, FaultProxy("127.0.0.1", server.port) as proxy:
        await answered(transport, post(proxy.port))
        proxy.add("reset_peer", stream)  # type: ignore[arg-type]
        request = Request(method, f"http://127.0.0.1:{proxy.port}/charges", {}, b"")
        done = await transport.exchange(request, FAST, fresh())
        assert done.phase is Phase.SENT
        assert done.error in ("reset", "disconnected")
        proxy.clear()
        await asyncio.sleep(0.1)
        assert proxy.connections == 1
        assert server.requests == (1 if stream == "upstream" else 2)


@pytest.mark.parametrize("stream", ["upstream", "downstream"])
async def test_a_reset_on_a_fresh_connection(transport: HttpTransport, stream: str) -> None:
    async with ScriptedServer(OK) as server, FaultProxy("127.0.0.1", server.port) as proxy:
        proxy.add("reset_peer", stream)  # type: ignore[arg-type]
        done = await transport.exchange(post(proxy.port), FAST, fresh())
        assert done.phase is Phase.SENT
        assert done.error in ("reset", "disconnected")
        assert proxy.connections == 1


async def test_an_orderly_close_without_an_answer_is_not_resent(transport: HttpTransport) -> None:
    async with ScriptedServer(OK, Last(b""), OK) as server:
        await answered(transport, get(server.port))
        done = await transport.exchange(get(server.port), FAST, None)
        assert done == Exchange(Phase.SENT, None, "disconnected")
        assert server.requests == 2
        assert server.connections == 1


async def test_a_connection_reset_while_idle_is_replaced(transport: HttpTransport) -> None:
    async with ScriptedServer(OK) as server, FaultProxy("127.0.0.1", server.port) as proxy:
        await answered(transport, post(proxy.port))
        proxy.reset_all()
        await asyncio.sleep(0.05)
        await answered(transport, post(proxy.port))
        assert server.requests == 2
        assert proxy.connections == 2


async def test_a_connection_dying_just_before_the_write_is_unsent(
    transport: HttpTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with ScriptedServer(OK) as server:
        await answered(transport, post(server.port))
        session = transport._session
        assert session is not None
        connector = session.connector
        assert connector is not None
        original = connector.connect

        async def dying(*args: object, **kwargs: object) -> object:
            got = await original(*args, **kwargs)  # type: ignore[arg-type]
            assert got.transport is not None
            got.transport.abort()
            return got

        monkeypatch.setattr(connector, "connect", dying)
        done = await transport.exchange(post(server.port), FAST, fresh())
        assert done.phase is Phase.UNSENT
        assert done.error == "connection_lost"
        assert server.requests == 1


async def test_bytes_before_the_request_are_not_its_answer(transport: HttpTransport) -> None:
    """Some front ends say 408 on an idle connection; nobody may take that for our decline."""
    async with ScriptedServer(OK) as server:
        await answered(transport, post(server.port))
        server.writers[0].write(http(402, b'{"error":{"type":"card_error"}}'))
        await asyncio.sleep(0.05)
        for request in (post(server.port), get(server.port)):
            done = await transport.exchange(request, FAST, fresh())
            if done.phase is Phase.UNSENT:
                assert done.reply is None
                break
            assert done.reply is not None
            assert done.reply.body == b'{"ok":true}'
        assert server.requests == 1
        await answered(transport, post(server.port))
        assert server.requests == 2


async def test_bytes_just_before_the_write_stop_it(
    transport: HttpTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with ScriptedServer(OK) as server:
        await answered(transport, post(server.port))
        session = transport._session
        assert session is not None
        connector = session.connector
        assert connector is not None
        original = connector.connect

        async def chatty(*args: object, **kwargs: object) -> object:
            got = await original(*args, **kwargs)  # type: ignore[arg-type]
            assert got.protocol is not None
            early = http(402, b'{"error":{"type":"card_error"}}')
            asyncio.get_running_loop().call_soon(got.protocol.data_received, early)
            return got

        monkeypatch.setattr(connector, "connect", chatty)
        done = await transport.exchange(post(server.port), FAST, fresh())
        assert done == Exchange(Phase.UNSENT, None, "connection_stale")
        await asyncio.sleep(0.02)
        assert server.requests == 1


async def test_a_shut_or_used_gate_writes_nothing() -> None:
    for shut, sent in ((True, False), (False, True)):
        body = module._Body(b"x", None)
        body.shut, body.sent = shut, sent
        writer = StreamWriter(None, asyncio.get_running_loop())  # type: ignore[arg-type]
        with pytest.raises(module._NotSent, match="closed"):
            await body.write_with_length(writer, None)


async def test_a_slow_first_byte(transport: HttpTransport) -> None:
    async with ScriptedServer(OK) as server, FaultProxy("127.0.0.1", server.port) as proxy:
        proxy.add("latency", latency=2_000)
        done = await transport.exchange(post(proxy.port), HASTY, fresh())
        assert done == Exchange(Phase.SENT, None, "read_timeout")
        assert server.requests == 1


async def test_silence(transport: HttpTransport) -> None:
    async with ScriptedServer(None) as server:
        done = await transport.exchange(post(server.port), HASTY, fresh())
        assert done == Exchange(Phase.SENT, None, "read_timeout")


async def test_a_trickle_ends_at_the_total(transport: HttpTransport) -> None:
    async with ScriptedServer(OK) as server, FaultProxy("127.0.0.1", server.port) as proxy:
        proxy.add("slicer", average_size=1, delay=100_000)
        done = await transport.exchange(post(proxy.port), HASTY, fresh())
        assert done == Exchange(Phase.SENT, None, "timeout")


async def test_a_sliced_request_and_answer_arrive_whole(transport: HttpTransport) -> None:
    async with ScriptedServer(OK) as server, FaultProxy("127.0.0.1", server.port) as proxy:
        proxy.add("slicer", "upstream", average_size=7, size_variation=3)
        proxy.add("slicer", "downstream", average_size=3, size_variation=2)
        done = await answered(transport, post(proxy.port))
        assert done.reply is not None
        assert done.reply.body == b'{"ok":true}'


async def test_little_bandwidth_and_a_slow_close(transport: HttpTransport) -> None:
    async with ScriptedServer(Last(OK)) as server, FaultProxy("127.0.0.1", server.port) as proxy:
        proxy.add("bandwidth", rate=10)
        proxy.add("slow_close", delay=100)
        await answered(transport, post(proxy.port))


async def test_a_timeout_toxic_closes_without_an_answer(transport: HttpTransport) -> None:
    async with ScriptedServer(OK) as server, FaultProxy("127.0.0.1", server.port) as proxy:
        proxy.add("timeout", timeout=50)
        done = await transport.exchange(post(proxy.port), FAST, fresh())
        assert done.phase is Phase.SENT


@pytest.mark.parametrize("cut", [1, 20, len(OK) - len(b'{"ok":true}'), len(OK) - 1])
async def test_a_truncated_answer(transport: HttpTransport, cut: int) -> None:
    async with ScriptedServer(OK) as server, FaultProxy("127.0.0.1", server.port) as proxy:
        proxy.add("limit_data", bytes=cut)
        done = await transport.exchange(post(proxy.port), FAST, fresh())
        assert done.phase is Phase.SENT
        assert done.reply is None
        assert done.error in ("truncated", "disconnected")
        assert server.requests == 1


async def test_a_truncated_chunked_answer(transport: HttpTransport) -> None:
    head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    async with ScriptedServer(Last(head + b"5\r\nhello\r\n")) as server:
        done = await transport.exchange(post(server.port), FAST, fresh())
        assert done == Exchange(Phase.SENT, None, "truncated")


HEAD = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (http(200, b"x" * 100_001), "too_large"),
        (HEAD + b"content-length: 99999999999\r\n\r\n", "too_large"),
        (
            HEAD + b"transfer-encoding: chunked\r\n\r\n" + b"4000\r\n" + b"x" * 0x4000 + b"\r\n",
            "read_timeout",
        ),
        (
            HEAD
            + b"transfer-encoding: chunked\r\n\r\n"
            + (b"4000\r\n" + b"x" * 0x4000 + b"\r\n") * 8,
            "too_large",
        ),
        (http(200, b"\x1f\x8b\x08", "content-encoding: gzip\r\n"), "encoded"),
        (HEAD + b"x-long: " + b"y" * 20_000 + b"\r\n\r\n", "garbage"),
        (HEAD + b"".join(b"x-%d: y\r\n" % i for i in range(500)) + b"\r\n", "garbage"),
        (b"\x00\xff nonsense \r\n\r\n" * 5, "garbage"),
        (b"SSH-2.0-OpenSSH\r\n", "garbage"),
        (HEAD + b"content-length: 3\r\ncontent-length: 4\r\n\r\nabcd", "garbage"),
        (HEAD + b"transfer-encoding: chunked\r\n\r\nzz\r\n", "garbage"),
    ],
)
async def test_answers_that_are_none(transport: HttpTransport, answer: bytes, error: str) -> None:
    async with ScriptedServer(answer) as server:
        done = await transport.exchange(post(server.port), FAST, fresh())
        assert done == Exchange(Phase.SENT, None, error)
        assert server.requests == 1
