"""The hop client against a raw server that misbehaves in every way."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import msgspec
import pytest

from bailiwick.access.nodes.forward import HopError, HopLimits, NodeClient
from tests.waiting import PATIENCE_S, Clock, until

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nX-One: 1\r\n\r\nok"
PATIENT = HopLimits(connect_seconds=PATIENCE_S, wait_seconds=PATIENCE_S, total_seconds=PATIENCE_S)


def patient(**bounds: int) -> HopLimits:
    """Bounds of which only these count: no time runs out."""
    return msgspec.structs.replace(PATIENT, **bounds)


class Raw:
    """A raw server that counts connections and keeps the requests it read."""

    def __init__(self) -> None:
        self.connections = 0
        self.closed = 0
        self.requests: list[bytes] = []

    async def read_request(self, reader: asyncio.StreamReader) -> bytes:
        head = await reader.readuntil(b"\r\n\r\n")
        length = 0
        for line in head.split(b"\r\n"):
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        request = head + await reader.readexactly(length)
        self.requests.append(request)
        return request


@asynccontextmanager
async def serving(
    handler: Callable[[Raw, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
    limits: HopLimits = PATIENT,
) -> AsyncIterator[tuple[Raw, NodeClient]]:
    raw = Raw()
    writers: list[asyncio.StreamWriter] = []

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        raw.connections += 1
        writers.append(writer)
        try:
            await handler(raw, reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
            raw.closed += 1

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    client = NodeClient(f"http://127.0.0.1:{port}", limits)
    try:
        yield raw, client
    finally:
        client.close()
        server.close()
        for writer in writers:
            writer.transport.abort()


def answering(
    *parts: bytes, close: bool = False, pause: float = 0
) -> Callable[..., Awaitable[None]]:
    async def handler(raw: Raw, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await raw.read_request(reader)
            for part in parts:
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(pause)
            if close:
                return

    return handler


async def test_keeps_connections_alive_and_sends_what_it_is_given() -> None:
    async with serving(answering(OK)) as (raw, client):
        for _ in range(3):
            answer = await client.request("POST", b"/v1/x?y=1", [b"a: b\r\n"], b"body")
            assert (answer.status, answer.body) == (200, b"ok")
            assert answer.header(b"x-one") == "1"
            assert answer.header(b"x-two") is None
        assert raw.connections == 1
        assert len(raw.requests) == 3
        head, _, body = raw.requests[0].partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        assert lines[0] == b"POST /v1/x?y=1 HTTP/1.1"
        assert b"a: b" in lines
        assert b"content-length: 4" in lines
        assert body == b"body"


async def test_connection_refused_is_unsent() -> None:
    async with serving(answering(OK)) as (_, client):
        port = client.port
    with pytest.raises(HopError) as caught:
        await NodeClient(f"http://127.0.0.1:{port}").request("POST", b"/", body=b"x")
    assert caught.value.phase == "unsent"
    assert "refused" in caught.value.reason


async def test_a_pooled_connection_closed_while_idle_is_replaced_before_a_byte_is_sent() -> None:
    async with serving(answering(OK, close=True)) as (raw, client):
        for closed in (1, 2, 3):
            assert (await client.request("POST", b"/", body=b"x")).body == b"ok"
            await until(lambda closed=closed: raw.closed == closed)
        assert raw.connections == 3
        assert len(raw.requests) == 3


async def test_closed_after_the_request_without_an_answer_is_sent_and_never_repeated() -> None:
    async def silent(raw: Raw, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await raw.read_request(reader)

    async with serving(silent) as (raw, client):
        for sent in (1, 2):
            with pytest.raises(HopError) as caught:
                await client.request("POST", b"/", body=b"x")
            assert caught.value.phase == "sent"
            assert len(raw.requests) == sent
            assert client.open_connections == 0


async def test_reset_on_a_reused_connection_is_sent_and_never_repeated() -> None:
    async def second_resets(
        raw: Raw, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await raw.read_request(reader)
        writer.write(OK)
        await raw.read_request(reader)
        if raw.connections == 1:
            writer.transport.abort()
        writer.write(OK)

    async with serving(second_resets) as (raw, client):
        await client.request("GET", b"/")
        with pytest.raises(HopError) as caught:
            await client.request("GET", b"/")
        assert caught.value.phase == "sent"
        assert (raw.connections, len(raw.requests)) == (1, 2)
        await client.request("GET", b"/")
        assert (raw.connections, len(raw.requests)) == (2, 3)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\ncontent-le",
        b"HTTP/1.1 200 OK\r\n\r\nno length, so it could be cut",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
)
async def test_incomplete_or_invalid_answers_are_sent(answer: bytes) -> None:
    async with serving(answering(answer, close=True)) as (raw, client):
        with pytest.raises(HopError) as caught:
            await client.request("POST", b"/", body=b"x")
        assert caught.value.phase == "sent"
        assert len(raw.requests) == 1
        assert client.open_connections == 0


async def test_chunked_answers_in_pieces() -> None:
    pieces = (
        b"HTTP/1.1 200 OK\r\ntransfer-enc",
        b"oding: chunked\r\n\r\n3\r\nab",
        b"c\r\n",
        b"2\r\nde\r\n0\r\n\r\n",
    )
    async with serving(answering(*pieces, pause=0.002)) as (raw, client):
        for _ in range(2):
            assert (await client.request("GET", b"/")).body == b"abcde"
        assert raw.connections == 1


async def test_interim_answers_are_passed_over() -> None:
    async with serving(answering(b"HTTP/1.1 100 Continue\r\n\r\n" + OK)) as (raw, client):
        for _ in range(2):
            assert (await client.request("POST", b"/", body=b"x")).status == 200
        assert raw.connections == 1


async def test_slow_answers_end_at_the_total_timeout_whatever_drips() -> None:
    drip = [b"HTTP/1.1 200 OK\r\n", b"content-length: 100\r\n\r\n", *[b"x"] * 100]
    async with serving(answering(*drip, pause=1.0)) as (raw, client):
        clock = Clock()
        asking = asyncio.create_task(client.request("GET", b"/", timeout=60))
        await until(lambda: raw.requests)
        for _ in range(59):
            await clock.forward(1.0)
        assert not asking.done()
        await clock.forward(1.0)
        with pytest.raises(HopError) as caught:
            await asking
        assert (caught.value.phase, caught.value.reason) == ("sent", "no answer in time")
        assert client.open_connections == 0


@pytest.mark.parametrize("garbage", [OK, b"garbage", b"HTTP/1.1 200 OK\r\n"])
async def test_what_follows_an_answer_unasked_is_never_taken_for_the_next(garbage: bytes) -> None:
    async with serving(answering(OK + garbage)) as (raw, client):
        for _ in range(2):
            assert (await client.request("GET", b"/")).body == b"ok"
        assert raw.connections == 2


async def test_bytes_on_an_idle_connection_drop_it() -> None:
    async with serving(answering(OK, OK, pause=0.02)) as (raw, client):
        assert (await client.request("GET", b"/")).body == b"ok"
        await until(lambda: raw.closed)
        assert (await client.request("GET", b"/")).body == b"ok"
        assert raw.connections == 2


async def test_connection_close_is_honoured() -> None:
    closing = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok"
    async with serving(answering(closing)) as (raw, client):
        for _ in range(2):
            assert (await client.request("GET", b"/")).body == b"ok"
        assert raw.connections == 2
        assert client.open_connections == 0


async def test_answers_are_bounded() -> None:
    limits = patient(header_bytes=1000, body_bytes=1000)
    big_body = b"HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\n" + b"x" * 5000
    async with serving(answering(big_body), limits) as (_, client):
        with pytest.raises(HopError, match="sent"):
            await client.request("GET", b"/")
    endless = [b"HTTP/1.1 200 OK\r\nx: ", *[b"y" * 500] * 50]
    async with serving(answering(*endless, pause=0.001), limits) as (_, client):
        with pytest.raises(HopError) as caught:
            await client.request("GET", b"/")
        assert "headers were too large" in caught.value.reason


async def test_the_pool_is_bounded_and_fair() -> None:
    limits = patient(connections=2, waiting=3)
    async with serving(answering(OK, pause=0.03), limits) as (raw, client):
        calls = [asyncio.create_task(client.request("GET", b"/")) for _ in range(6)]
        results = await asyncio.gather(*calls, return_exceptions=True)
        errors = [r for r in results if isinstance(r, HopError)]
        assert len(errors) == 1
        assert (errors[0].phase, errors[0].busy) == ("unsent", True)
        assert results.index(errors[0]) == 5
        assert raw.connections == 2


async def test_waiting_for_a_connection_counts_into_the_timeout() -> None:
    async with serving(answering(OK, pause=0.3), patient(connections=1)) as (raw, client):
        first = asyncio.create_task(client.request("GET", b"/"))
        await until(lambda: raw.requests)
        blocked = asyncio.create_task(client.request("GET", b"/"))
        assert (await first).status == 200
        # The server is still pausing: the next request waits in its queue, not in ours.
        assert (await blocked).status == 200

    async def never(raw: Raw, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await raw.read_request(reader)
        await reader.read()

    async with serving(never, patient(connections=1)) as (raw, client):
        clock = Clock()
        first = asyncio.create_task(client.request("GET", b"/", timeout=60))
        await until(lambda: raw.requests)
        blocked = asyncio.create_task(client.request("GET", b"/", timeout=10))
        await asyncio.sleep(0)
        await clock.forward(10)
        with pytest.raises(HopError) as caught:
            await blocked
        assert (caught.value.phase, caught.value.busy) == ("unsent", True)
        assert not first.done()
        await clock.forward(50)
        with pytest.raises(HopError):
            await first
        assert client.open_connections == 0


async def test_cancelling_a_call_drops_its_connection_and_frees_its_place() -> None:
    async with serving(answering(OK, pause=0), patient(connections=1)) as (_, client):
        await client.request("GET", b"/")

    async def slow_first(
        raw: Raw, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while True:
            await raw.read_request(reader)
            if raw.connections == 1:
                await reader.read()
            writer.write(OK)

    async with serving(slow_first, patient(connections=1)) as (raw, client):
        first = asyncio.create_task(client.request("GET", b"/"))
        await until(lambda: raw.requests)
        second = asyncio.create_task(client.request("GET", b"/"))
        await asyncio.sleep(0)  # it waits for the one connection
        first.cancel()
        assert (await second).body == b"ok"
        assert raw.connections == 2
        assert client.open_connections == 1


async def test_an_early_answer_to_a_large_body_is_an_answer() -> None:
    async def early(raw: Raw, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 No\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
        await writer.drain()
        await told.wait()  # closed with bytes unread, it would reset the answer away

    told = asyncio.Event()
    async with serving(early) as (_, client):
        assert (await client.request("POST", b"/", body=b"x" * 5_000_000)).status == 413
        told.set()


@pytest.mark.parametrize("url", ["ftp://node:1", "node:1", "http://"])
def test_urls_are_checked(url: str) -> None:
    with pytest.raises(ValueError, match=r"http\(s\)://host:port"):
        NodeClient(url)
