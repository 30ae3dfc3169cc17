"""The transport when connections break: what was sent is never sent again nor called unsent."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from bailiwick.channels.contract import Exchange, Phase, Request
from bailiwick.channels.transports.http import HttpTransport
from bailiwick.wire.client import Bounds, Connection, WireError
from bailiwick_lab.servers.scripted import Last, ScriptedServer, http
from tests.faultproxy import FaultProxy
from tests.unit.transport_kit import (
    HASTY_ANSWER,
    HASTY_TOTAL,
    OK,
    PATIENT,
    answered,
    fresh,
    get,
    post,
)
from tests.waiting import PATIENCE_S, until


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
        done = await transport.exchange(request, PATIENT, fresh())
        assert done.phase is Phase.SENT
        assert done.error in ("reset", "disconnected")
        proxy.clear()
        assert proxy.connections == 1
        await answered(transport, post(proxy.port))  # it comes after all that was written
        assert proxy.connections == 2
        assert server.requests == (2 if stream == "upstream" else 3)


@pytest.mark.parametrize("stream", ["upstream", "downstream"])
async def test_a_reset_on_a_fresh_connection(transport: HttpTransport, stream: str) -> None:
    async with ScriptedServer(OK) as server, FaultProxy("127.0.0.1", server.port) as proxy:
        proxy.add("reset_peer", stream)  # type: ignore[arg-type]
        done = await transport.exchange(post(proxy.port), PATIENT, fresh())
        assert done.phase is Phase.SENT
        assert done.error in ("reset", "disconnected")
        assert proxy.connections == 1


async def test_an_orderly_close_without_an_answer_is_not_resent(transport: HttpTransport) -> None:
    async with ScriptedServer(OK, Last(b""), OK) as server:
        await answered(transport, get(server.port))
        done = await transport.exchange(get(server.port), PATIENT, None)
        assert done == Exchange(Phase.SENT, None, "disconnected")
        assert server.requests == 2
        assert server.connections == 1


async def test_a_connection_reset_while_idle_is_replaced(transport: HttpTransport) -> None:
    async with ScriptedServer(OK) as server, FaultProxy("127.0.0.1", server.port) as proxy:
        await answered(transport, post(proxy.port))
        proxy.reset_all()
        await until(lambda: not proxy._links)
        await answered(transport, post(proxy.port))
        assert server.requests == 2
        assert proxy.connections == 2


def before_the_write(monkeypatch: pytest.MonkeyPatch, harm: Callable[[Connection], object]) -> None:
    """Harm each connection once, when it has been chosen and nothing is written yet."""
    original = Connection.start

    def start(self: Connection, *args: Any) -> object:
        harm(self)
        return original(self, *args)

    monkeypatch.setattr(Connection, "start", start)


async def test_a_connection_dying_just_before_the_write_is_unsent(
    transport: HttpTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with ScriptedServer(OK) as server:
        await answered(transport, post(server.port))
        before_the_write(monkeypatch, Connection.close)
        done = await transport.exchange(post(server.port), PATIENT, fresh())
        assert done == Exchange(Phase.UNSENT, None, "connection_lost")
        assert server.requests == 1
        # The kept one was replaced, as nothing was said on it; the fresh one was the last try.
        assert server.connections == 2


async def test_bytes_before_the_request_are_not_its_answer(transport: HttpTransport) -> None:
    """Some front ends say 408 on an idle connection; nobody may take that for our decline."""
    async with ScriptedServer(OK) as server:
        await answered(transport, post(server.port))
        server.writers[0].write(http(402, b'{"error":{"type":"card_error"}}'))
        await until(server.writers[0].transport.is_closing)
        done = await answered(transport, post(server.port))
        assert done.reply is not None
        assert done.reply.body == b'{"ok":true}'
        assert (server.requests, server.connections) == (2, 2)


async def test_bytes_that_the_loop_has_not_read_yet_are_not_its_answer(
    transport: HttpTransport,
) -> None:
    async with ScriptedServer(OK) as server:
        await answered(transport, post(server.port))
        # asyncio writes at once: it lies in our socket, and no turn of the loop comes between.
        server.writers[0].write(http(402, b'{"error":{"type":"card_error"}}'))
        done = await answered(transport, post(server.port))
        assert done.reply is not None
        assert done.reply.status == 200
        assert (server.requests, server.connections) == (2, 2)


async def test_a_close_that_the_loop_has_not_seen_yet(transport: HttpTransport) -> None:
    async with ScriptedServer(OK) as server:
        await answered(transport, post(server.port))
        server.writers[0].get_extra_info("socket").shutdown(socket.SHUT_WR)
        await answered(transport, post(server.port))
        assert (server.requests, server.connections) == (2, 2)


async def test_bytes_just_before_the_write_stop_it(
    transport: HttpTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    early = http(402, b'{"error":{"type":"card_error"}}')
    async with ScriptedServer(OK) as server:
        await answered(transport, post(server.port))
        before_the_write(monkeypatch, lambda each: each.data_received(early))
        done = await transport.exchange(post(server.port), PATIENT, fresh())
        assert done.phase is Phase.UNSENT
        assert done.error in ("connection_stale", "connection_lost")
        assert server.requests == 1


async def test_a_server_that_speaks_first_is_not_answered() -> None:
    """Full front ends greet with 503: the request was not read, so it must not be written."""
    read: list[bytes] = []

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(http(402, b'{"error":{"type":"card_error"}}'))
        greeted.set()
        read.append(await reader.read())
        read_all.set()
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    transport = HttpTransport()
    slow = asyncio.get_running_loop().create_connection

    async def slowly(*args: Any, **kwargs: Any) -> object:
        made = await slow(*args, **kwargs)
        await greeted.wait()
        for _ in range(5):  # what lies in the socket is read in the loop's next turn
            await asyncio.sleep(0)
        return made

    greeted, read_all = asyncio.Event(), asyncio.Event()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asyncio.get_running_loop(), "create_connection", slowly)
        done = await transport.exchange(post(server.sockets[0].getsockname()[1]), PATIENT, fresh())
    assert done.phase is Phase.UNSENT
    assert done.error in ("connection_stale", "connection_lost")
    await read_all.wait()
    assert read == [b""]
    await transport.close()
    server.close()


async def test_a_used_connection_takes_no_second_request() -> None:
    async with ScriptedServer(None) as server:
        loop = asyncio.get_running_loop()
        connection = Connection(loop, tls=False)
        await loop.create_connection(lambda: connection, "127.0.0.1", server.port)
        bounds = Bounds(
            connect_s=PATIENCE_S, silence_s=PATIENCE_S, total_s=PATIENCE_S, body_bytes=10
        )
        request = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
        first = connection.start(request, bounds, loop.time(), loop.time() + PATIENCE_S)
        with pytest.raises(WireError) as refused:
            connection.start(request, bounds, loop.time(), loop.time() + PATIENCE_S)
        assert (refused.value.sent, refused.value.word) == (False, "connection_stale")
        connection.close()
        with pytest.raises(WireError) as lost:
            await first
        assert (lost.value.sent, lost.value.word) == (True, "disconnected")
        assert server.requests <= 1


async def test_a_slow_first_byte(transport: HttpTransport) -> None:
    async with ScriptedServer(OK) as server, FaultProxy("127.0.0.1", server.port) as proxy:
        proxy.add("latency", latency=60_000)
        done = await transport.exchange(post(proxy.port), HASTY_ANSWER, fresh())
        assert done == Exchange(Phase.SENT, None, "read_timeout")
        assert server.requests == 1


async def test_silence(transport: HttpTransport) -> None:
    async with ScriptedServer(None) as server:
        done = await transport.exchange(post(server.port), HASTY_ANSWER, fresh())
        assert done == Exchange(Phase.SENT, None, "read_timeout")


async def test_a_trickle_ends_at_the_total(transport: HttpTransport) -> None:
    async with ScriptedServer(OK) as server, FaultProxy("127.0.0.1", server.port) as proxy:
        proxy.add("slicer", average_size=1, delay=100_000)
        done = await transport.exchange(post(proxy.port), HASTY_TOTAL, fresh())
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
        done = await transport.exchange(post(proxy.port), PATIENT, fresh())
        assert done.phase is Phase.SENT


@pytest.mark.parametrize("cut", [1, 20, len(OK) - len(b'{"ok":true}'), len(OK) - 1])
async def test_a_truncated_answer(transport: HttpTransport, cut: int) -> None:
    async with ScriptedServer(OK) as server, FaultProxy("127.0.0.1", server.port) as proxy:
        proxy.add("limit_data", bytes=cut)
        done = await transport.exchange(post(proxy.port), PATIENT, fresh())
        assert done.phase is Phase.SENT
        assert done.reply is None
        assert done.error in ("truncated", "disconnected")
        assert server.requests == 1


async def test_a_truncated_chunked_answer(transport: HttpTransport) -> None:
    head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    async with ScriptedServer(Last(head + b"5\r\nhello\r\n")) as server:
        done = await transport.exchange(post(server.port), PATIENT, fresh())
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
        profile = HASTY_ANSWER if error == "read_timeout" else PATIENT
        done = await transport.exchange(post(server.port), profile, fresh())
        assert done == Exchange(Phase.SENT, None, error)
        assert server.requests == 1
