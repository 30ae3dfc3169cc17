"""The transport over a real network with faults: what it says about a request is exactly so."""

import ast
import asyncio
import inspect
import ssl
import textwrap
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bailiwick.base.clock import boot_ns
from bailiwick.channels.contract import Exchange, Permit, Phase, Request
from bailiwick.channels.transports import http as module
from bailiwick.channels.transports.http import HttpTransport
from bailiwick.wire.client import Connection
from bailiwick_lab.servers.scripted import ScriptedServer, http
from tests.faultproxy import FaultProxy
from tests.unit.transport_kit import (
    HASTY_CONNECT,
    OK,
    PATIENT,
    SpyTransport,
    answered,
    expired,
    fresh,
    get,
    post,
    trusting,
)
from tests.waiting import until


@pytest.fixture
async def transport() -> AsyncIterator[HttpTransport]:
    made = HttpTransport()
    yield made
    await made.close()


async def test_an_answer_is_complete_and_as_sent(transport: HttpTransport) -> None:
    async with ScriptedServer(http(402, b'{"e":1}', "X-Thing: a\r\n")) as server:
        done = await transport.exchange(post(server.port), PATIENT, fresh())
        assert done.phase is Phase.ANSWERED
        assert done.error is None
        assert done.reply is not None
        assert (done.reply.status, done.reply.body) == (402, b'{"e":1}')
        assert done.reply.headers["x-thing"] == "a"
        assert server.bodies == [b'{"amount":1}']
        head = server.heads[0].lower()
        assert head.startswith(b"post /charges http/1.1\r\n")
        assert b"accept-encoding: identity" in head
        assert b"cookie" not in head
        assert b"python" not in head


async def test_urls_are_sent_as_given(transport: HttpTransport) -> None:
    async with ScriptedServer(OK) as server:
        await answered(transport, get(server.port))
        assert server.heads[0].startswith(b"GET /operations/a%2Fb?x=%5B1%5D HTTP/1.1\r\n")


async def test_an_empty_post_is_a_post_with_length_zero(transport: HttpTransport) -> None:
    async with ScriptedServer(OK) as server:
        await answered(transport, post(server.port, b""))
        assert b"content-length: 0" in server.heads[0].lower()


async def test_connections_are_reused_and_warmed(transport: HttpTransport) -> None:
    async with ScriptedServer(OK) as server:
        warm = await transport.connect(get(server.port), PATIENT, connections=3)
        assert warm.phase is Phase.ANSWERED
        assert server.connections == 3
        for _ in range(10):
            await answered(transport, post(server.port))
        assert server.connections == 3


async def test_warming_shows_the_worst(transport: HttpTransport) -> None:
    async with ScriptedServer(http(401), OK) as server:
        worst = await transport.connect(get(server.port), PATIENT, connections=2)
        assert worst.reply is not None
        assert worst.reply.status == 401


# The permit


async def test_an_expired_permit_on_a_cold_connection(transport: HttpTransport) -> None:
    async with ScriptedServer(OK) as server, FaultProxy("127.0.0.1", server.port) as proxy:
        done = await transport.exchange(post(proxy.port), PATIENT, expired())
        assert done == Exchange(Phase.UNSENT, None, "permit_expired")
        await answered(transport, post(proxy.port))
        assert server.requests == 1


async def test_an_expired_permit_on_a_warm_connection(transport: HttpTransport) -> None:
    async with ScriptedServer(OK) as server, FaultProxy("127.0.0.1", server.port) as proxy:
        await answered(transport, post(proxy.port))
        before = proxy.seen["upstream"]
        done = await transport.exchange(post(proxy.port), PATIENT, expired())
        assert done == Exchange(Phase.UNSENT, None, "permit_expired")
        await answered(transport, post(proxy.port))
        assert server.requests == 2
        assert proxy.seen["upstream"] == 2 * before


async def test_a_permit_that_expires_while_connecting(
    transport: HttpTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [boot_ns()]
    monkeypatch.setattr(module, "boot_ns", lambda: clock[0])
    permit = Permit(clock[0] + 1_000)
    original = asyncio.get_running_loop().create_connection

    async def slowly(*args: object, **kwargs: object) -> object:
        clock[0] += 2_000
        return await original(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(asyncio.get_running_loop(), "create_connection", slowly)
    async with ScriptedServer(OK) as server:
        done = await transport.exchange(post(server.port), PATIENT, permit)
        assert done == Exchange(Phase.UNSENT, None, "permit_expired")
        assert server.requests == 0


async def test_a_get_with_an_expired_permit(transport: HttpTransport) -> None:
    async with ScriptedServer(OK) as server:
        done = await transport.exchange(get(server.port), PATIENT, expired())
        assert done == Exchange(Phase.UNSENT, None, "permit_expired")
        assert server.requests == 0


@pytest.mark.parametrize("body", [b"", b"x", b"x" * 300_000])
async def test_nothing_runs_between_the_check_and_the_write(
    transport: HttpTransport, monkeypatch: pytest.MonkeyPatch, body: bytes
) -> None:
    """A callback scheduled by the check must not have run when the first byte is written."""
    trace: list[str] = []
    loop = asyncio.get_running_loop()

    def checking() -> int:
        trace.append("check")
        loop.call_soon(trace.append, "loop")
        return boot_ns()

    monkeypatch.setattr(module, "boot_ns", checking)
    spied = SpyTransport.install(monkeypatch, lambda _data: trace.append("write"))
    async with ScriptedServer(OK) as server:
        await answered(transport, post(server.port, body))
        await answered(transport, post(server.port, body))
    assert trace[:3] == ["check", "write", "loop"]
    assert trace.count("check") == trace.count("write") == 2
    assert [data.endswith(b"\r\n\r\n" + body) for data in spied.written] == [True, True]


@pytest.mark.parametrize("warm", [False, True])
async def test_nothing_reaches_the_socket_after_the_permit_has_run_out(
    transport: HttpTransport, monkeypatch: pytest.MonkeyPatch, warm: bool
) -> None:
    spied = SpyTransport.install(monkeypatch)
    async with ScriptedServer(OK) as server:
        if warm:
            await answered(transport, post(server.port))
        before = len(spied.written)
        for request in (post(server.port), get(server.port), post(server.port, b"x" * 300_000)):
            done = await transport.exchange(request, PATIENT, expired())
            assert done == Exchange(Phase.UNSENT, None, "permit_expired")
        assert len(spied.written) == before
        assert server.connections == 1


async def test_the_last_nanosecond_counts(
    transport: HttpTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "boot_ns", lambda: 1_000)
    async with ScriptedServer(OK) as server:
        done = await transport.exchange(post(server.port), PATIENT, Permit(1_000))
        assert done == Exchange(Phase.UNSENT, None, "permit_expired")
        done = await transport.exchange(post(server.port), PATIENT, Permit(1_001))
        assert done.phase is Phase.ANSWERED


def test_no_function_between_the_check_and_the_write_can_be_suspended() -> None:
    """``start`` is an ordinary function, and its check is the last thing before its write."""
    assert not inspect.iscoroutinefunction(Connection.start)
    assert not inspect.isgeneratorfunction(Connection.start)
    tree = ast.parse(textwrap.dedent(inspect.getsource(Connection.start))).body[0]
    assert isinstance(tree, ast.FunctionDef)
    lines = [ast.unparse(statement).split("\n")[0] for statement in tree.body]
    check = lines.index("against = self.unfit() or (None if gate is None else gate())")
    assert lines[check + 1 : check + 4] == [
        "if against is not None:",
        "self.waiter = waiter",
        "self.transport.write(request)",
    ]
    inner = [
        node
        for node in ast.walk(ast.parse(inspect.getsource(module)))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == "gate"
    ]
    assert [type(node) for node in inner] == [ast.FunctionDef]
    waits = ast.Await | ast.Yield | ast.YieldFrom
    assert not any(isinstance(node, waits) for node in ast.walk(inner[0]))


# Before the first byte


async def test_refused(transport: HttpTransport) -> None:
    async with FaultProxy("127.0.0.1", 1) as proxy:
        await proxy.down()
        done = await transport.exchange(post(proxy.port), PATIENT, fresh())
    assert done == Exchange(Phase.UNSENT, None, "refused")


async def test_unknown_host(transport: HttpTransport) -> None:
    request = Request("POST", "http://nowhere.invalid/charges", {}, b"x")
    done = await transport.exchange(request, PATIENT, fresh())
    assert done == Exchange(Phase.UNSENT, None, "dns")


async def test_no_tls_there(transport: HttpTransport) -> None:
    async with ScriptedServer(OK) as server:
        request = Request("POST", f"https://127.0.0.1:{server.port}/charges", {}, b"x")
        done = await transport.exchange(request, HASTY_CONNECT, fresh())
    assert done.phase is Phase.UNSENT
    assert done.error in ("tls", "connect_timeout", "unreachable", "connection_lost")


async def test_a_certificate_nobody_vouches_for(transport: HttpTransport) -> None:
    here = Path(__file__).parent.parent / "tls"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(here / "localhost.crt", here / "localhost.key")
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.read(1))
        writer.write(OK)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    request = Request("POST", f"https://localhost:{port}/charges", {}, b"x")
    try:
        done = await transport.exchange(request, PATIENT, fresh())
        assert done == Exchange(Phase.UNSENT, None, "tls")
        assert asked == []
        believing = HttpTransport(secured=trusting(str(here / "localhost.crt")))
        try:
            done = await believing.exchange(request, PATIENT, fresh())
            assert done.phase is Phase.ANSWERED, done
        finally:
            await believing.close()
    finally:
        server.close()


async def test_a_full_pool_is_unsent() -> None:
    narrow = HttpTransport(limit=1)
    async with ScriptedServer(None) as server:
        first = asyncio.create_task(narrow.exchange(post(server.port), PATIENT, fresh()))
        await until(lambda: server.requests)
        done = await narrow.exchange(post(server.port), HASTY_CONNECT, fresh())
        assert done == Exchange(Phase.UNSENT, None, "connect_timeout")
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        assert server.requests == 1
    await narrow.close()


@pytest.mark.parametrize("headers", [{"x-bad": "a\r\nb: c"}, {"bad\nname": "x"}])
async def test_a_request_that_cannot_be_written(
    transport: HttpTransport, headers: dict[str, str]
) -> None:
    async with ScriptedServer(OK) as server:
        request = Request("POST", f"http://127.0.0.1:{server.port}/", headers, b"x")
        done = await transport.exchange(request, PATIENT, fresh())
        assert done == Exchange(Phase.UNSENT, None, "invalid_request")
        assert server.requests == 0


@pytest.mark.parametrize("url", ["", "nonsense", "ftp://127.0.0.1/x", "http://"])
async def test_a_url_that_leads_nowhere(transport: HttpTransport, url: str) -> None:
    done = await transport.exchange(Request("POST", url, {}, b"x"), PATIENT, fresh())
    assert done.phase is Phase.UNSENT


async def test_a_closed_transport_sends_nothing() -> None:
    transport = HttpTransport()
    await transport.close()
    done = await transport.exchange(post(1), PATIENT, fresh())
    assert done == Exchange(Phase.UNSENT, None, "closed")


async def test_a_redirect_is_an_answer_and_not_followed(transport: HttpTransport) -> None:
    async with ScriptedServer(http(307, b"", "location: /elsewhere\r\n")) as server:
        done = await answered(transport, post(server.port))
        assert done.reply is not None
        assert done.reply.status == 307
        assert server.requests == 1


async def test_cookies_are_not_kept(transport: HttpTransport) -> None:
    async with ScriptedServer(http(200, b"{}", "set-cookie: a=b\r\n")) as server:
        await answered(transport, post(server.port))
        await answered(transport, post(server.port))
        assert b"cookie" not in server.heads[1].lower()


async def test_proxies_of_the_environment_are_ignored(
    transport: HttpTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    async with ScriptedServer(OK) as server:
        await answered(transport, post(server.port))


async def test_a_cancelled_exchange_writes_nothing_later(
    transport: HttpTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    spied = SpyTransport.install(monkeypatch)
    async with ScriptedServer(OK) as server:
        await answered(transport, post(server.port))
        for turns in range(6):
            task = asyncio.create_task(transport.exchange(post(server.port), PATIENT, fresh()))
            for _ in range(turns):
                await asyncio.sleep(0)
            seen, written = server.requests, len(spied.written)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await answered(transport, post(server.port))  # it comes after all that was written
            assert len(spied.written) == written + 1
            assert server.requests <= seen + 2


async def test_a_cancelled_exchange_closes_its_connection(transport: HttpTransport) -> None:
    async with ScriptedServer(None, OK) as server:
        task = asyncio.create_task(transport.exchange(post(server.port), PATIENT, fresh()))
        await until(lambda: server.requests)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        done = await answered(transport, get(server.port))
        assert done.reply is not None
        assert server.connections == 2


async def test_the_recorder_sees_no_secret() -> None:
    kept: list[dict[str, object]] = []
    transport = HttpTransport(recorder=kept.append, secrets=("hush-hush",))
    async with ScriptedServer(
        http(200, b'{"client_secret":"abc","n":"4242424242424242"}')
    ) as server:
        request = post(server.port, b'{"note":"hush-hush","pan":"4242 4242 4242 4242"}')
        await transport.exchange(request, PATIENT, fresh())
        await transport.exchange(request, PATIENT, expired())
    await transport.close()
    assert len(kept) == 2
    text = str(kept)
    for secret in ("hush-hush", "Bearer k", "4242 4242", "42424242", "abc"):
        assert secret not in text
    assert kept[1]["error"] == "permit_expired"


async def test_many_at_once_each_get_their_own_answer(transport: HttpTransport) -> None:
    async with ScriptedServer(lambda _head, body: http(200, body)) as server:

        async def one(number: int) -> None:
            done = await answered(transport, post(server.port, b"%d" % number))
            assert done.reply is not None
            assert done.reply.body == b"%d" % number

        await asyncio.gather(*(one(number) for number in range(200)))
        assert server.requests == 200


async def test_uvloop_behaves_alike() -> None:
    """The node runs on uvloop, whose transports are not asyncio's."""
    import uvloop

    def all_of_it() -> tuple[Exchange, Exchange, Exchange, int]:
        async def run() -> tuple[Exchange, Exchange, Exchange, int]:
            transport = HttpTransport()
            async with (
                ScriptedServer(OK) as server,
                FaultProxy("127.0.0.1", server.port) as proxy,
            ):
                first = await transport.exchange(post(proxy.port), PATIENT, fresh())
                late = await transport.exchange(post(proxy.port), PATIENT, expired())
                await transport.exchange(post(proxy.port), PATIENT, fresh())
                proxy.add("reset_peer", "upstream")
                cut = await transport.exchange(post(proxy.port), PATIENT, fresh())
                await transport.close()
                return first, late, cut, server.requests

        return uvloop.run(run())

    first, late, cut, requests = await asyncio.to_thread(all_of_it)
    assert first.phase is Phase.ANSWERED
    assert late == Exchange(Phase.UNSENT, None, "permit_expired")
    assert cut.phase is Phase.SENT
    assert requests == 2
