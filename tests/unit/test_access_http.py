"""The server's bounds, against raw sockets."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import falcon.asgi
import pytest

from bailiwick.wire.answers import install_errors, json_answer
from bailiwick.wire.protocol import read_body
from bailiwick.wire.server import HttpServer, Limits, bind
from tests.waiting import PATIENCE_S, Clock, until

BOUNDED = Limits(
    header_bytes=2000,
    header_count=20,
    url_bytes=500,
    body_bytes=1000,
    header_seconds=PATIENCE_S,
    body_seconds=PATIENCE_S,
    keep_alive_seconds=PATIENCE_S,
    connections=3,
)


class Echo:
    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.started = 0
        self.finished = 0

    async def on_post(self, request: Any, response: Any) -> None:
        self.started += 1
        body = await read_body(request, 1000)
        if request.path == "/slow":
            await self.gate.wait()
        self.finished += 1
        json_answer(response, {"length": len(body), "query": request.query_string})

    async def on_get(self, request: Any, response: Any) -> None:
        raise ZeroDivisionError("4242424242424242")


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def write(self, *parts: str | bytes) -> None:
        for part in parts:
            self.writer.write(part.encode() if isinstance(part, str) else part)

    async def answer(self) -> tuple[int, dict[str, str], Any]:
        head = (await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), PATIENCE_S)).decode()
        status, *lines = head.strip().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines)
        body = await self.reader.readexactly(int(headers["content-length"]))
        return int(status.split()[1]), headers, json.loads(body)

    async def closed(self) -> bool:
        try:
            return await asyncio.wait_for(self.reader.read(), PATIENCE_S) == b""
        except ConnectionError:
            return True


class Running:
    def __init__(self, server: HttpServer, echo: Echo) -> None:
        self.server = server
        self.echo = echo
        self.clients: list[Client] = []

    async def connect(self) -> Client:
        client = Client(*await asyncio.open_connection("127.0.0.1", self.server.port))
        self.clients.append(client)
        return client


@asynccontextmanager
async def running(grace_s: float = PATIENCE_S) -> AsyncIterator[Running]:
    app: Any = falcon.asgi.App()
    install_errors(app)
    echo = Echo()
    app.add_route("/", echo)
    app.add_route("/slow", echo)
    server = HttpServer(app, BOUNDED, grace_s=grace_s)
    await server.start()
    made = Running(server, echo)
    try:
        yield made
    finally:
        echo.gate.set()
        for client in made.clients:
            client.writer.close()
        await server.stop()


def post(path: str = "/", body: str = "", headers: str = "") -> str:
    return f"POST {path} HTTP/1.1\r\nhost: x\r\n{headers}content-length: {len(body)}\r\n\r\n{body}"


async def test_usual_requests_on_one_connection() -> None:
    async with running() as it:
        client = await it.connect()
        for size in (0, 1000):
            client.write(post("/?a=b", "x" * size))
            status, headers, body = await client.answer()
            assert (status, body) == (200, {"length": size, "query": "a=b"})
            assert "date" in headers
            assert "server" not in headers


@pytest.mark.parametrize(
    ("request_text", "status"),
    [
        (post(headers="x-long: " + "y" * 3000 + "\r\n"), 431),
        (post(headers="".join(f"x-{n}: 1\r\n" for n in range(30))), 431),
        (post("/?" + "q" * 600), 414),
        (post(body="x" * 1001), 413),
        ("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999999999999999\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n5dc\r\n" + "x" * 1500, 413),
        ("POST / HTTP/1.1\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n", 400),
        ("GET /%C3\xa9 HTTP/1.1\r\n\r\n", 400),
        ("GET /?\xe9 HTTP/1.1\r\n\r\n", 400),
        ("nonsense\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\na\0b: 1\r\n\r\n", 400),
    ],
)
async def test_what_is_out_of_bounds_is_answered_and_closed(request_text: str, status: int) -> None:
    async with running() as it:
        client = await it.connect()
        client.write(request_text.encode("latin-1"))
        found, headers, body = await client.answer()
        assert found == status
        assert body["error"]["type"] == "invalid_request_error"
        assert headers["request-id"].startswith("req_")
        assert headers["stripe-should-retry"] == "false"
        assert headers["connection"] == "close"
        client.writer.write_eof()
        assert await client.closed()
        assert it.echo.finished == 0


async def test_endless_headers_are_stopped_while_they_come() -> None:
    async with running() as it:
        for endless in (b"y", b"a: b\r\n", b"\r\n"):
            client = await it.connect()
            client.write("GET / HTTP/1.1\r\nx: " if endless == b"y" else "GET / HTTP/1.1\r\n")
            sent = 0
            if endless == b"\r\n":
                # An empty line ends the headers; a defect's text is nowhere in the answer.
                client.write(endless)
                status, _, body = await client.answer()
                assert status == 500
                assert "4242" not in json.dumps(body)
                continue
            while sent < 100_000 and not client.reader._buffer:  # type: ignore[attr-defined]
                client.write(endless * 50)
                sent += 50 * len(endless)
                await asyncio.sleep(0)
                await asyncio.sleep(0.001)
            assert (await client.answer())[0] == 431
            assert sent < 20_000
            client.writer.close()


async def test_slow_headers_and_bodies_get_408_whatever_drips() -> None:
    async with running() as it:
        for start, drip in (("POST / HTTP/1.1\r\n", "a: b\r\n"), (post()[:-5] + "50\r\n\r\n", "x")):
            client = await it.connect()
            client.write(start)
            clock = Clock()
            for _ in range(6):
                await clock.forward(PATIENCE_S / 5)
                client.write(drip)
            status, headers, _ = await client.answer()
            assert status == 408
            assert headers["stripe-should-retry"] == "true"
            client.writer.close()
        assert it.echo.finished == 0


async def test_silent_and_idle_connections_are_closed() -> None:
    async with running() as it:
        silent, blank, idle = [await it.connect() for _ in range(3)]
        blank.write("\r\n\r\n")
        idle.write(post())
        assert (await idle.answer())[0] == 200
        await Clock().forward(PATIENCE_S)
        for client in (silent, blank, idle):
            assert await client.closed()
        await until(lambda: it.server.connections == 0)


async def test_a_slow_answer_is_no_fault_of_the_client() -> None:
    async with running() as it:
        client = await it.connect()
        client.write(post("/slow"))
        await until(lambda: it.echo.started)
        await Clock().forward(3 * PATIENCE_S)
        it.echo.gate.set()
        assert (await client.answer())[0] == 200


async def test_connections_are_bounded() -> None:
    async with running() as it:
        kept = [await it.connect() for _ in range(3)]
        status, headers, body = await (await it.connect()).answer()
        assert (status, headers["retry-after"]) == (503, "1")
        assert body["error"]["type"] == "api_error"
        kept[0].write(post())
        assert (await kept[0].answer())[0] == 200


async def test_pipelined_requests_are_answered_in_order_before_a_refusal() -> None:
    async with running() as it:
        client = await it.connect()
        client.write(post("/slow"), post(body="ab"), post(body="x" * 2000))
        await until(lambda: it.echo.started)
        it.echo.gate.set()
        assert (await client.answer())[2]["length"] == 0
        assert (await client.answer())[2]["length"] == 2
        assert (await client.answer())[0] == 413
        client.writer.write_eof()
        assert await client.closed()
        assert it.echo.finished == 2


async def test_work_goes_on_when_the_client_leaves() -> None:
    async with running() as it:
        client = await it.connect()
        client.write(post("/slow"))
        await until(lambda: it.echo.started)
        client.writer.transport.abort()
        await until(lambda: it.server.connections == 0)
        it.echo.gate.set()
        await until(lambda: it.echo.finished == 1)


@pytest.mark.parametrize(
    "part",
    [
        post(body="amount=1999")[:-2],
        "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n9\r\namount=19\r\n",
    ],
)
async def test_a_body_that_breaks_off_is_never_taken_for_the_whole(part: str) -> None:
    async with running() as it:
        client = await it.connect()
        client.write(part)
        await until(lambda: it.echo.started)
        client.writer.transport.abort()
        await until(lambda: it.server.connections == 0)
        other = await it.connect()
        other.write("POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n")
        assert (await other.answer())[2]["length"] == 1
        assert it.echo.finished == 1


async def test_stopping_lets_requests_finish() -> None:
    async with running() as it:
        client, idle = await it.connect(), await it.connect()
        client.write(post("/slow"))
        await until(lambda: it.echo.started and it.server.connections == 2)
        stopping = asyncio.create_task(it.server.stop())
        assert await idle.closed()
        with pytest.raises(OSError):
            await asyncio.open_connection("127.0.0.1", it.server.port)
        it.echo.gate.set()
        assert (await client.answer())[0] == 200
        await asyncio.wait_for(stopping, PATIENCE_S)


async def test_errors_of_the_framework_have_our_shape() -> None:
    async with running() as it:
        client = await it.connect()
        for request, status in (
            ("GET /nowhere HTTP/1.1\r\nhost: x\r\n\r\n", 404),
            ("PATCH / HTTP/1.1\r\nhost: x\r\n\r\n", 405),
        ):
            client.write(request)
            found, headers, body = await client.answer()
            assert (found, body["error"]["type"]) == (status, "invalid_request_error")
            assert headers["request-id"].startswith("req_")
            assert headers["stripe-should-retry"] == "false"


async def test_a_taken_port_is_named() -> None:
    async with running() as it:
        with pytest.raises(OSError, match=f"127.0.0.1:{it.server.port}"):
            bind("127.0.0.1", it.server.port)
