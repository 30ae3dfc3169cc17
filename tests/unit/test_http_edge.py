"""Hostile HTTP against the server: where one request ends, whose bytes are whose, and what one
client may hold. The same against the real applications: tests/postgres/test_edge_listeners.py."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from bailiwick.wire.heads import origin_form
from bailiwick.wire.peers import Peers, network
from bailiwick.wire.server import HttpServer, Limits
from tests.edge_kit import AMBIGUOUS, HOST, TARGETS, UPGRADE, VERSIONS, Raw, ask, chunked, refused

SMALL = Limits(
    header_bytes=8000, body_bytes=1000, write_seconds=0.5, pipelined=4, connections_per_address=3
)
NEXT = b"GET /next HTTP/1.1\r\nhost: x\r\n\r\n"


class Echo:
    """Answers with what it was asked; ``gate`` holds /slow, /big is answered with much."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.asked: list[tuple[str, bytes]] = []
        self.cut = 0

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            event = await receive()
            if event["type"] == "http.disconnect":
                self.cut += 1
                return
            body += event.get("body", b"")
            more = event.get("more_body", False)
        self.asked.append((scope["path"], body))
        if scope["path"] == "/slow":
            await self.gate.wait()
        seen = {
            "method": scope["method"],
            "path": scope["path"],
            "query": scope["query_string"].decode(),
            "version": scope["http_version"],
            "headers": [[n.decode(), v.decode("latin-1")] for n, v in scope["headers"]],
            "body": body.decode("latin-1"),
        }
        data = json.dumps(seen).encode()
        if scope["path"] == "/big":
            data = b"x" * 8_000_000
        headers = [(b"content-length", str(len(data)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": data})


class Running:
    def __init__(self, server: HttpServer, echo: Echo) -> None:
        self.server = server
        self.echo = echo
        self.port = server.port


@asynccontextmanager
async def running(limits: Limits | None = None) -> AsyncIterator[Running]:
    echo = Echo()
    server = HttpServer(echo, limits, grace_s=1)
    await server.start()
    try:
        yield Running(server, echo)
    finally:
        echo.gate.set()
        await server.stop()


async def until(condition: Any) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)


def post(path: bytes = b"/", body: bytes = b"", headers: bytes = b"") -> bytes:
    length = b"content-length: %d\r\n" % len(body)
    return b"POST %b HTTP/1.1\r\n%b%b%b\r\n%b" % (path, HOST, headers, length, body)


# Larger bodies


async def test_a_larger_body_is_taken_where_it_may_be_and_nowhere_else() -> None:
    limits = Limits(body_bytes=1_000, larger={b"/files": 5_000})
    async with running(limits) as it:
        for path, size, status in (
            (b"/files", 5_000, 200),
            (b"/files", 5_001, 413),
            (b"/", 1_000, 200),
            (b"/", 1_001, 413),
            (b"/files/", 1_001, 413),
            (b"/files?a=b", 1_001, 413),
            (b"/fil%65s", 1_001, 413),
        ):
            body = b"x" * size
            answer = await ask(it.port, post(path, body))
            assert answer.status == status, path
            chunks = b"POST %b HTTP/1.1\r\n%btransfer-encoding: chunked\r\n\r\n" % (path, HOST)
            answer = await ask(it.port, chunks + chunked(body))
            assert answer.status == status, path
        # What it may hold of requests that wait is as little as before.
        raw = await Raw.to(it.port)
        already = len(it.echo.asked)
        raw.write(post(b"/slow") + post(b"/files", b"x" * 1_001))
        await until(lambda: len(it.echo.asked) > already)
        it.echo.gate.set()
        assert [(await raw.answer()).status for _ in range(2)] == [200, 503]


# White space


@pytest.mark.parametrize(
    "value", [b" abc", b"abc ", b"\tabc\t", b"abc", b" \t abc \t  ", b"abc\t "]
)
async def test_white_space_around_a_value_is_no_part_of_it(value: bytes) -> None:
    async with running() as it:
        answer = await ask(it.port, post(headers=b"Idempotency-Key:" + value + b"\r\n"))
        assert ["idempotency-key", "abc"] in answer.json["headers"]


async def test_white_space_within_a_value_and_other_bytes_stay() -> None:
    async with running() as it:
        headers = b"x-a: b \t c\r\nx-b: \xa0d\xa0\r\nx-c: \t \r\ncontent-encoding:\tidentity \r\n"
        found = dict((await ask(it.port, post(headers=headers))).json["headers"])
        assert (found["x-a"], found["x-b"], found["x-c"]) == ("b \t c", "\xa0d\xa0", "")


async def test_lengths_and_expectations_are_trimmed_too() -> None:
    async with running() as it:
        raw = await Raw.to(it.port)
        raw.write(
            b"POST / HTTP/1.1\r\nhost: x\r\nexpect:\t100-continue \r\ncontent-length: 3 \t\r\n\r\n"
        )
        assert b"100 Continue" in await raw.reader.readuntil(b"\r\n\r\n")
        raw.write(b"abc")
        assert (await raw.answer()).json["body"] == "abc"
        raw.close()


# Another protocol


@pytest.mark.parametrize(
    "framed",
    [
        b"content-length: 11\r\n\r\namount=1999",
        b"transfer-encoding: chunked\r\n\r\n" + chunked(b"amount", b"=1999"),
    ],
)
@pytest.mark.parametrize("step", [1, 7, 64, 100_000])
async def test_a_request_that_offers_an_upgrade_has_its_whole_body(
    framed: bytes, step: int
) -> None:
    request = b"POST /pay HTTP/1.1\r\n" + HOST + UPGRADE + b"x-a: b \r\n" + framed
    async with running() as it:
        raw = await Raw.to(it.port)
        sent = request + request + NEXT
        for at in range(0, len(sent), step):
            raw.write(sent[at : at + step])
            await raw.writer.drain()
            if step < 64:
                await asyncio.sleep(0)
        for _ in range(2):
            answer = (await raw.answer()).json
            assert (answer["method"], answer["path"], answer["body"]) == (
                "POST", "/pay", "amount=1999",
            )  # fmt: skip
            names = [name for name, _ in answer["headers"]]
            assert not {"upgrade", "http2-settings", "connection"} & set(names)
            assert ["x-a", "b"] in answer["headers"]
        assert (await raw.answer()).json["path"] == "/next"
        raw.close()


@pytest.mark.parametrize("cut", range(1, 200, 3))
async def test_wherever_the_pieces_of_it_are_cut(cut: int) -> None:
    request = b"POST /pay HTTP/1.1\r\n" + HOST + UPGRADE + b"content-length: 3\r\n\r\nabc" + NEXT
    async with running() as it:
        raw = await Raw.to(it.port)
        raw.write(request[:cut])
        await raw.writer.drain()
        await asyncio.sleep(0.002)
        raw.write(request[cut:])
        assert (await raw.answer()).json["body"] == "abc"
        assert (await raw.answer()).json["path"] == "/next"
        raw.close()


async def test_a_body_behind_an_upgrade_that_has_not_come_is_waited_for() -> None:
    """And is never filled with the next request, nor taken for whole when it breaks off."""
    async with running() as it:
        raw = await Raw.to(it.port)
        raw.write(b"POST /pay HTTP/1.1\r\n" + HOST + UPGRADE + b"content-length: 300\r\n\r\nabc")
        await until(lambda: it.server.connections == 1)
        raw.write(NEXT)
        raw.writer.close()
        await until(lambda: it.server.connections == 0)
        await until(lambda: it.echo.cut == 1)
        assert it.echo.asked == []


async def test_connection_close_is_kept_beside_an_upgrade() -> None:
    async with running() as it:
        head = b"GET /a HTTP/1.1\r\nhost: x\r\nconnection: close, Upgrade\r\nupgrade: h2c\r\n\r\n"
        answer = await refused(it.port, head + NEXT)
        assert (answer.status, answer.json["path"]) == (200, "/a")


async def test_the_bounds_hold_for_what_offers_an_upgrade() -> None:
    async with running(SMALL) as it:
        head = b"POST / HTTP/1.1\r\n" + HOST + UPGRADE
        assert (await refused(it.port, head + b"content-length: 1001\r\n\r\n")).status == 413
        for name, (rest, status) in AMBIGUOUS.items():
            assert (await refused(it.port, head + rest)).status == status, name
        sent = head + b"transfer-encoding: chunked\r\n\r\n" + chunked(b"x" * 600, b"x" * 600)
        assert (await refused(it.port, sent)).status == 413


# Framing


@pytest.mark.parametrize("name", AMBIGUOUS)
async def test_what_can_be_read_in_two_ways_is_refused(name: str) -> None:
    rest, status = AMBIGUOUS[name]
    async with running() as it:
        answer = await refused(it.port, b"POST / HTTP/1.1\r\n" + HOST + rest + NEXT)
        assert answer.status == status
        assert answer.json["error"]["type"] == "invalid_request_error"
        if status == 415:
            assert "Content-Encoding" in answer.json["error"]["message"]
            assert answer.headers["accept-encoding"] == "identity"
        assert it.echo.asked == []


@pytest.mark.parametrize("name", VERSIONS)
async def test_other_versions_are_refused(name: str) -> None:
    request, status = VERSIONS[name]
    async with running() as it:
        answer = await refused(it.port, request)
        assert answer.status == status
        assert answer.json["error"]["type"] == "invalid_request_error"
        assert it.echo.asked == []


async def test_http_1_0_works_and_ends() -> None:
    async with running() as it:
        for offer in (b"", b"connection: upgrade\r\nupgrade: h2c\r\n"):
            answer = await refused(
                it.port, b"POST / HTTP/1.0\r\n" + offer + b"content-length: 3\r\n\r\nabc" + NEXT
            )
            assert (answer.status, answer.json["body"]) == (200, "abc")
            assert answer.json["version"] == "1.0"


async def test_a_trailer_is_no_header_of_this_request_nor_of_the_next() -> None:
    trailers = b"Idempotency-Key: b\r\nUpgrade: h2c\r\nConnection: upgrade\r\n"
    request = (
        b"POST /a HTTP/1.1\r\nhost: x\r\nidempotency-key: a\r\ntransfer-encoding: chunked\r\n\r\n"
        b"3\r\nabc\r\n0\r\n" + trailers + b"\r\n"
    )
    async with running() as it:
        raw = await Raw.to(it.port)
        for step in (1, 100_000):
            sent = request + post(b"/b", b"d")
            for at in range(0, len(sent), step):
                raw.write(sent[at : at + step])
                await asyncio.sleep(0)
            first, second = (await raw.answer()).json, (await raw.answer()).json
            assert (first["body"], second["body"]) == ("abc", "d")
            keys = [value for name, value in first["headers"] if name == "idempotency-key"]
            assert keys == ["a"]
            assert [name for name, _ in second["headers"]] == ["host", "content-length"]
        raw.close()


@pytest.mark.parametrize(
    "endless",
    [b"a: b\r\n", b"x" * 50, b"1;" + b"e" * 20_000 + b"\r\nx\r\n", b"1;" + b"e" * 50_000],
    ids=["trailers", "one trailer", "extensions", "one extension"],
)
async def test_what_stands_beside_a_body_is_bounded(endless: bytes) -> None:
    start = b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
    if not endless.startswith(b"1;"):
        start += b"0\r\nx: y"[: 3 if b":" in endless else 7]
    async with running() as it:
        raw = await Raw.to(it.port)
        raw.write(start)
        sent = 0
        while sent < 2_000_000 and not raw.reader._buffer:  # type: ignore[attr-defined]
            raw.write(endless)
            sent += len(endless)
            await asyncio.sleep(0.0005)
        assert (await raw.answer()).status in (400, 431)
        assert sent < 500_000
        assert it.echo.asked == []
        raw.close()


# Targets


@pytest.mark.parametrize("target", TARGETS)
async def test_another_spelling_of_a_path_is_another_path(target: bytes) -> None:
    async with running(Limits(body_bytes=2000)) as it:
        raw = await Raw.to(it.port)
        if target == b"http://x":  # names "/", which this application has
            assert (await ask(it.port, b"GET http://x HTTP/1.1\r\nhost: x\r\n\r\n")).json[
                "path"
            ] == "/"
            return
        raw.write(post(target, b"x" * 1000) + NEXT)
        answer = await raw.answer()
        assert answer.status in (400, 404)
        assert answer.json["error"]["type"] == "invalid_request_error"
        assert answer.headers["request-id"].startswith("req_")
        if answer.status == 404:
            assert f"POST: {target.decode()}" in answer.json["error"]["message"]
            assert (await raw.answer()).json["path"] == "/next"
        assert [path for path, _ in it.echo.asked] in ([], ["/next"])
        raw.close()


@pytest.mark.parametrize(
    ("target", "served"),
    [
        (b"/v1/a?x=//../%2f", b"/v1/a?x=//../%2f"),
        (b"http://x/v1/a?b=c", b"/v1/a?b=c"),
        (b"HTTPS://u@x:1/v1/a", b"/v1/a"),
        (b"http://x?b", b"/?b"),
        (b"/", b"/"),
        (b"/?a=b", b"/?a=b"),
        (b"/v1/.well", b"/v1/.well"),
        (b"/v1/a%20b", b"/v1/a%20b"),
        (b"/v1/...", b"/v1/..."),
        (b"/v1/a%252fb", b"/v1/a%252fb"),
        (b"http://x:99999/v1", None),
        (b"/v1/a/?b", None),
        (b"/v1/..?b", None),
        (b"x", None),
        (b"", None),
    ],
)
def test_the_one_form_of_a_target(target: bytes, served: bytes | None) -> None:
    assert origin_form(target) == served


# What one client may hold


async def test_a_client_that_takes_nothing_is_cut() -> None:
    async with running(SMALL) as it:
        raw = await Raw.to(it.port)
        raw.writer.transport.pause_reading()  # type: ignore[attr-defined]
        raw.write(b"GET /big HTTP/1.1\r\nhost: x\r\n\r\n")
        await until(lambda: it.echo.asked)
        assert it.server.connections == 1
        await until(lambda: it.server.connections == 0)
        raw.close()


async def test_one_that_closes_its_side_and_takes_nothing_is_cut() -> None:
    async with running(SMALL) as it:
        raw = await Raw.to(it.port)
        raw.writer.transport.pause_reading()  # type: ignore[attr-defined]
        raw.write(b"GET /big HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        await until(lambda: it.echo.asked)
        await until(lambda: it.server.connections == 0)
        raw.close()


async def test_a_slow_client_that_reads_gets_everything() -> None:
    async with running(SMALL) as it:
        raw = await Raw.to(it.port)
        raw.write(b"GET /big HTTP/1.1\r\nhost: x\r\n\r\n")
        await raw.reader.readuntil(b"\r\n\r\n")
        began = asyncio.get_running_loop().time()
        left = 8_000_000
        while left:
            left -= len(await raw.reader.read(left))
            if asyncio.get_running_loop().time() < began + 4 * SMALL.write_seconds:
                await asyncio.sleep(0.05)
        assert it.server.connections == 1
        raw.close()


@pytest.mark.parametrize(
    ("sent", "served"),
    [(post(b"/slow") + post(b"/a") * 50, 5), (post(b"/slow") + post(b"/a", b"x" * 600) * 3, 2)],
    ids=["many", "large"],
)
async def test_what_waits_on_one_connection_is_bounded(sent: bytes, served: int) -> None:
    async with running(SMALL) as it:
        raw = await Raw.to(it.port)
        raw.write(sent)
        await until(lambda: it.echo.asked)
        it.echo.gate.set()
        for _ in range(served):
            assert (await raw.answer()).status == 200
        answer = await raw.answer()
        assert (answer.status, answer.headers["stripe-should-retry"]) == (503, "true")
        assert await raw.closed() == b""
        assert len(it.echo.asked) == served


async def test_a_pipelined_body_that_never_comes_is_given_up() -> None:
    limits = Limits(body_seconds=0.3)
    async with running(limits) as it:
        raw = await Raw.to(it.port)
        raw.write(post(b"/slow") + post(b"/a", b"xyz")[:-1])
        await until(lambda: it.echo.asked)
        it.echo.gate.set()
        assert (await raw.answer()).status == 200
        assert (await raw.answer()).status == 408
        raw.close()


async def test_connections_from_one_address_are_bounded() -> None:
    async with running(SMALL) as it:
        kept = [await Raw.to(it.port) for _ in range(3)]
        for raw in kept:
            raw.write(NEXT)
            assert (await raw.answer()).status == 200
        for _ in range(2):
            answer = await refused(it.port, b"")
            assert (answer.status, answer.headers["retry-after"]) == (503, "1")
            assert "this address" in answer.json["error"]["message"]
        await until(lambda: it.server.connections == 3)
        other = await asyncio.open_connection("127.0.0.1", it.port, local_addr=("127.0.0.2", 0))
        other[1].write(NEXT)
        assert b"200" in await other[0].readline()
        kept.pop().close()
        await until(lambda: it.server.connections == 3)
        assert (await ask(it.port, NEXT)).status == 200
        for raw in kept:
            raw.close()
        other[1].close()
        await until(lambda: it.server.connections == 0)
        assert len(it.server._peers) == it.server._peers.turned_away == 0


async def test_those_turned_away_take_no_place_from_others() -> None:
    limits = Limits(connections=4, connections_per_address=2)
    async with running(limits) as it:
        flood = [await Raw.to(it.port) for _ in range(20)]
        await until(lambda: 2 <= it.server.connections <= 4)  # two held, two being told
        other = await asyncio.open_connection("127.0.0.1", it.port, local_addr=("127.0.0.2", 0))
        other[1].write(NEXT)
        assert b"200" in await other[0].readline()
        for raw in flood:
            raw.close()
        other[1].close()


async def test_nought_is_no_bound() -> None:
    async with running(Limits(connections_per_address=0)) as it:
        many = [await Raw.to(it.port) for _ in range(100)]
        for raw in many:
            raw.write(NEXT)
            assert (await raw.answer()).status == 200
            raw.close()


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::/64"),
    ],
)
def test_what_counts_as_one_address(address: str, counted: str) -> None:
    assert network(address) == counted


def test_who_has_left_is_forgotten() -> None:
    peers = Peers()
    assert [peers.enter("a"), peers.enter("a"), peers.enter("b")] == [1, 2, 1]
    for each in "aab":
        peers.leave(each)
    assert len(peers) == 0
