"""The wire client's own edges: framing, bounds, keeping alive. With TLS in test_wire_tls.py."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator

import msgspec
import pytest

from bailiwick.channels.contract import Exchange, Phase, Request
from bailiwick.channels.transports.http import HttpTransport
from bailiwick.wire.client import Bounds, WireError
from bailiwick.wire.pool import Pool, origin
from bailiwick_lab.servers.scripted import Last, ScriptedServer, http
from tests.unit.transport_kit import (
    HASTY_ANSWER,
    OK,
    PATIENT,
    SpyTransport,
    answered,
    fresh,
    get,
    post,
)
from tests.waiting import PATIENCE_S, Clock, until

HEAD = b"HTTP/1.1 200 OK\r\n"
BOUNDS = Bounds(
    connect_s=PATIENCE_S,
    silence_s=PATIENCE_S,
    total_s=PATIENCE_S,
    body_bytes=10_000,
    until_close=True,
)
ASK = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"


@pytest.fixture
async def transport() -> AsyncIterator[HttpTransport]:
    made = HttpTransport()
    yield made
    await made.close()


def pool_for(port: int, **options: float) -> Pool:
    settings = {"limit": 4, "idle_seconds": 15.0, **options}
    return Pool(origin(f"http://127.0.0.1:{port}"), **settings)  # type: ignore[arg-type]


# How an answer ends


async def test_a_body_until_the_close(transport: HttpTransport) -> None:
    async with ScriptedServer(Last(HEAD + b"\r\nall of " + b"it" * 5_000)) as server:
        for _ in range(2):
            done = await answered(transport, post(server.port))
            assert done.reply is not None
            assert done.reply.body == b"all of " + b"it" * 5_000
        assert server.connections == 2


async def test_a_body_until_a_reset_is_not_whole(transport: HttpTransport) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(HEAD + b"\r\npart")
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    done = await transport.exchange(get(server.sockets[0].getsockname()[1]), PATIENT, None)
    assert done == Exchange(Phase.SENT, None, "reset")
    server.close()


async def test_an_endless_body_is_bounded(transport: HttpTransport) -> None:
    async with ScriptedServer(HEAD + b"\r\n" + b"x" * 200_000) as server:
        done = await transport.exchange(post(server.port), PATIENT, fresh())
        assert done == Exchange(Phase.SENT, None, "too_large")


@pytest.mark.parametrize("status", [204, 304])
async def test_answers_without_a_body(transport: HttpTransport, status: int) -> None:
    async with ScriptedServer(b"HTTP/1.1 %d X\r\netag: 1\r\n\r\n" % status) as server:
        for _ in range(2):
            done = await answered(transport, post(server.port))
            assert done.reply is not None
            assert (done.reply.status, done.reply.body) == (status, b"")
        assert server.connections == 1


async def test_http_1_0_is_understood_and_not_kept(transport: HttpTransport) -> None:
    answer = Last(b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok")
    async with ScriptedServer(answer) as server:
        for _ in range(2):
            done = await answered(transport, post(server.port))
            assert done.reply is not None
            assert done.reply.body == b"ok"
        assert server.connections == 2


async def test_an_announced_upgrade_changes_nothing(transport: HttpTransport) -> None:
    more = "upgrade: h2,h2c\r\nconnection: Upgrade, Keep-Alive\r\n"
    async with ScriptedServer(http(200, b"{}", more)) as server:
        for _ in range(2):
            done = await answered(transport, post(server.port))
            assert done.reply is not None
            assert done.reply.body == b"{}"


@pytest.mark.parametrize(
    "framing",
    [
        b"content-length: 2 \t\r\n\r\nok",
        b"transfer-encoding:\tchunked \r\n\r\n2\r\nok\r\n0\r\n\r\n",
    ],
)
async def test_white_space_around_a_value_is_no_part_of_it(
    transport: HttpTransport, framing: bytes
) -> None:
    head = HEAD + b"x-a: \t b c\t \r\nx-b: \t\r\ncontent-encoding: identity \r\n"
    async with ScriptedServer(head + framing) as server:
        for _ in range(2):
            done = await answered(transport, post(server.port))
            assert done.reply is not None
            assert done.reply.body == b"ok"
            assert (done.reply.headers["x-a"], done.reply.headers["x-b"]) == ("b c", "")
        assert server.connections == 1


async def test_trailers_are_no_headers(transport: HttpTransport) -> None:
    chunked = b"transfer-encoding: chunked\r\nx-a: head\r\n\r\n2\r\nok\r\n0\r\nx-a: tail\r\n\r\n"
    async with ScriptedServer(HEAD + chunked) as server:
        for _ in range(2):
            done = await answered(transport, post(server.port))
            assert done.reply is not None
            assert done.reply.headers["x-a"] == "head"
        assert server.connections == 1


async def test_interim_answers_are_passed_over(transport: HttpTransport) -> None:
    interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nlink: x\r\n\r\n"
    async with ScriptedServer(interim * 4 + OK) as server:
        for _ in range(2):
            done = await answered(transport, post(server.port))
            assert done.reply is not None
            assert done.reply.body == b'{"ok":true}'
            assert "link" not in done.reply.headers
        assert server.connections == 1


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 17 + OK, "garbage"),
        (b"HTTP/1.1 103 H\r\ncontent-length: 2\r\n\r\nhi" + OK, "garbage"),
        (b"HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n" + OK, "garbage"),
        (b"HTTP/1.1 101 Switching\r\n\r\n" + OK, "garbage"),
        (b"HTTP/1.1 100 Continue\r\n\r\n", "read_timeout"),
        (b"HTTP/2.0 200 OK\r\ncontent-length: 0\r\n\r\n", "garbage"),
        (b"HTTP/0.9 200 OK\r\ncontent-length: 0\r\n\r\n", "garbage"),
        (b"HTTP/1.1 099 OK\r\ncontent-length: 0\r\n\r\n", "garbage"),
        (b"HTTP/1.1 600 OK\r\ncontent-length: 0\r\n\r\n", "garbage"),
        (HEAD + b"transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "encoded"),
        (HEAD + b"transfer-encoding: gzip\r\n\r\nx", "encoded"),
        (HEAD + b"transfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n0\r\n\r\n", "garbage"),
        (
            HEAD + b"transfer-encoding: gzip\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
            "garbage",
        ),
        (
            HEAD
            + b"content-encoding: gzip\r\ncontent-encoding: identity\r\ncontent-length: 1\r\n\r\nx",
            "garbage",
        ),
        (HEAD + b"content-encoding:\tgzip \t\r\ncontent-length: 1\r\n\r\nx", "encoded"),
        (HEAD + b"content-length: 1\r\ncontent-length: 1\r\n\r\nx", "garbage"),
        (HEAD + b"content-length: -1\r\n\r\n", "garbage"),
        (HEAD + b"content-length: 1e3\r\n\r\n", "garbage"),
        (HEAD + b"x: " + b"y" * 70_000, "garbage"),
        (HEAD + (b"x: " + b"y" * 8_000 + b"\r\n") * 9 + b"content-length: 0\r\n\r\n", "garbage"),
        (
            HEAD
            + b"transfer-encoding: chunked\r\n\r\n"
            + (b"1;" + b"e" * 60_000 + b"\r\na\r\n") * 8,
            "too_large",
        ),
        (
            HEAD + b"transfer-encoding: chunked\r\n\r\n0\r\n" + b"x: " + b"y" * 400_000,
            "too_large",
        ),
    ],
)
async def test_answers_that_are_none(transport: HttpTransport, answer: bytes, error: str) -> None:
    async with ScriptedServer(answer) as server:
        request = post(server.port)
        profile = HASTY_ANSWER if error == "read_timeout" else PATIENT
        done = await transport.exchange(request, profile, fresh())
        assert done == Exchange(Phase.SENT, None, error)
        assert (server.requests, server.connections) == (1, 1)


@pytest.mark.parametrize("more", [http(402, b"{}"), b"x", b"\r\nx", b"HTTP/1.1 200 OK\r\n"])
async def test_what_follows_an_answer_is_never_the_next(
    transport: HttpTransport, more: bytes
) -> None:
    async with ScriptedServer(OK + more) as server:
        for _ in range(3):
            done = await answered(transport, post(server.port))
            assert done.reply is not None
            assert (done.reply.status, done.reply.body) == (200, b'{"ok":true}')
        assert server.connections == 3


async def test_each_byte_alone(transport: HttpTransport) -> None:
    chunked = (
        HEAD + b"Transfer-Encoding: Chunked\r\nX-A:  b \r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n"
    )

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for byte in chunked:
            writer.write(bytes([byte]))
            await asyncio.sleep(0.001)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    done = await answered(transport, get(server.sockets[0].getsockname()[1]))
    assert done.reply is not None
    assert done.reply.body == b"abcd"
    assert done.reply.headers["x-a"].strip() == "b"
    server.close()


# What may be asked


async def test_ipv6() -> None:
    try:
        server = await ScriptedServer(OK, host="::1").__aenter__()
    except OSError:
        pytest.skip("no IPv6 here")
    transport = HttpTransport()
    url = f"http://[::1]:{server.port}/charges"
    done = await transport.exchange(Request("POST", url, {}, b"x"), PATIENT, fresh())
    assert done.phase is Phase.ANSWERED
    assert f"host: [::1]:{server.port}".encode() in server.heads[0]
    await transport.close()
    await server.__aexit__()


@pytest.mark.parametrize(
    "url",
    [
        "http://user@127.0.0.1:{0}/",
        "http://user:word@127.0.0.1:{0}/",
        "http://127.0.0.1:{0}/#part",
        "http://127.0.0.1:{0}/a b",
        "http://127.0.0.1:{0}/a\r\nx: y",
        "http://127.0.0.1:{0}/ä",
        "http://127.0.0.1:{0}\\@other/",
        "http://127.0.0.1:{0}:1/",
        "http://127.0.0.1:0/",
        "http://127.0.0.1:99999/",
        "http://[::1/",
        "http://[::1]x:{0}/",
        "http://[fe80::1%25lo]:{0}/",
        "http://prövider.test/",
        "http://127.0.0.1\t:{0}/",
        "//127.0.0.1:{0}/",
    ],
)
async def test_urls_that_are_not_plain_are_refused(transport: HttpTransport, url: str) -> None:
    async with ScriptedServer(OK) as server:
        request = Request("POST", url.format(server.port), {}, b"x")
        done = await transport.exchange(request, PATIENT, fresh())
        assert done == Exchange(Phase.UNSENT, None, "invalid_request")
        assert server.connections == 0


@pytest.mark.parametrize(
    ("url", "host", "port", "authority"),
    [
        ("http://Api.Provider.test", "api.provider.test", 80, "api.provider.test"),
        ("https://api.provider.test:443", "api.provider.test", 443, "api.provider.test"),
        ("https://api.provider.test:80", "api.provider.test", 80, "api.provider.test:80"),
        ("https://[::1]", "::1", 443, "[::1]"),
        ("http://[2001:DB8::1]:81", "2001:db8::1", 81, "[2001:db8::1]:81"),
    ],
)
def test_origins(url: str, host: str, port: int, authority: str) -> None:
    found = origin(url)
    assert (found.host, found.port, found.authority) == (host, port, authority)
    assert found.tls is url.startswith("https")


async def test_a_query_without_a_path(transport: HttpTransport) -> None:
    async with ScriptedServer(OK) as server:
        for tail, target in (("?a=1", b"/?a=1"), ("", b"/"), ("/b?c", b"/b?c")):
            url = f"http://127.0.0.1:{server.port}{tail}"
            await answered(transport, Request("GET", url, {}))
            assert server.heads[-1].startswith(b"GET " + target + b" HTTP/1.1\r\n")
        assert b"content-length" not in server.heads[-1].lower()


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("HEAD", {}),
        ("CONNECT", {}),
        ("GET /x HTTP/1.1\r\nx:", {}),
        ("", {}),
        ("POST", {"Content-Length": "3"}),
        ("POST", {"transfer-encoding": "chunked"}),
        ("POST", {"host": "other"}),
        ("POST", {"accept-encoding": "gzip"}),
        ("POST", {"": "x"}),
        ("POST", {"x y": "z"}),
        ("POST", {"x": "nul\0"}),
        ("POST", {"x": "ü"}),
    ],
)
async def test_what_would_change_the_framing_is_refused(
    transport: HttpTransport, method: str, headers: dict[str, str]
) -> None:
    async with ScriptedServer(OK) as server:
        request = Request(method, f"http://127.0.0.1:{server.port}/", headers, b"x")
        done = await transport.exchange(request, PATIENT, fresh())
        assert done == Exchange(Phase.UNSENT, None, "invalid_request")
        assert server.connections == 0


async def test_one_write_a_request(
    transport: HttpTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    spied = SpyTransport.install(monkeypatch)
    async with ScriptedServer(OK) as server:
        await answered(transport, post(server.port, b"b" * 100_000))
        assert [len(data) > 100_000 for data in spied.written] == [True]


# Keeping alive


async def test_idle_connections_are_closed_after_their_time() -> None:
    async with ScriptedServer(OK) as server:
        clock = Clock()
        pool = pool_for(server.port, idle_seconds=60.0)
        await asyncio.gather(*(pool.exchange(ASK, BOUNDS) for _ in range(3)))
        await clock.forward(59)
        assert pool.open_connections == 3
        await clock.forward(2)
        assert pool.open_connections == 0
        assert all(writer.transport.is_closing() for writer in server.writers)
        await pool.exchange(ASK, BOUNDS)
        assert server.connections == 4
        pool.close()


async def test_an_idle_connection_that_hears_something_closes() -> None:
    async with ScriptedServer(OK) as server:
        pool = pool_for(server.port)
        await pool.exchange(ASK, BOUNDS)
        server.writers[0].write(b"\n")
        await until(server.writers[0].transport.is_closing)
        assert (await pool.exchange(ASK, BOUNDS)).status == 200
        assert server.connections == 2
        pool.close()


async def test_closing_a_pool_tells_what_was_sent_from_what_waited() -> None:
    async with ScriptedServer(None) as server:
        pool = pool_for(server.port, limit=1)
        first = asyncio.create_task(pool.exchange(ASK, BOUNDS))
        second = asyncio.create_task(pool.exchange(ASK, BOUNDS))
        await until(lambda: server.requests)
        pool.close()
        sent, waited = await asyncio.gather(first, second, return_exceptions=True)
        assert isinstance(sent, WireError) and isinstance(waited, WireError)
        assert (sent.sent, sent.word) == (True, "disconnected")
        assert (waited.sent, waited.word) == (False, "closed")
        with pytest.raises(WireError, match="closed"):
            await pool.exchange(ASK, BOUNDS)
        assert (server.requests, pool.open_connections) == (1, 0)


async def test_closing_while_connecting_sends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    original = asyncio.get_running_loop().create_connection

    async def slowly(*args: object, **kwargs: object) -> object:
        made = await original(*args, **kwargs)  # type: ignore[arg-type]
        connected.set()
        await closed.wait()
        return made

    connected, closed = asyncio.Event(), asyncio.Event()

    monkeypatch.setattr(asyncio.get_running_loop(), "create_connection", slowly)
    async with ScriptedServer(OK) as server:
        transport = HttpTransport()
        task = asyncio.create_task(transport.exchange(post(server.port), PATIENT, fresh()))
        await connected.wait()
        await transport.close()
        closed.set()
        assert await task == Exchange(Phase.UNSENT, None, "closed")
        assert server.requests == 0


async def test_a_timer_is_not_left_over_for_the_next_request(transport: HttpTransport) -> None:
    """One timer serves a connection: an early one must not end a later exchange."""
    async with ScriptedServer(OK, OK, None) as server:
        clock = Clock()
        profile = msgspec.structs.replace(PATIENT, first_byte_ms=10_000)
        for _ in range(2):
            assert (await transport.exchange(post(server.port), profile, None)).reply is not None
            await clock.forward(7)
        asking = asyncio.create_task(transport.exchange(post(server.port), profile, None))
        await until(lambda: server.requests == 3)
        await clock.forward(7)
        assert not asking.done()
        await clock.forward(3)
        assert await asking == Exchange(Phase.SENT, None, "read_timeout")
        assert server.connections == 1
