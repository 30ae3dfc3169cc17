"""Both clients over TLS: who is believed, when a body is whole, what an idle connection hears."""

import asyncio
import os
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import uvloop

from bailiwick.access.nodes.forward import HopError, NodeClient
from bailiwick.channels.contract import Exchange, Phase, Request
from bailiwick.channels.transports import http as module
from bailiwick.channels.transports.http import HttpTransport
from bailiwick_lab.servers.scripted import Last, ScriptedServer, http
from tests.unit.transport_kit import (
    HASTY_CONNECT,
    OK,
    PATIENT,
    SpyTransport,
    answered,
    expired,
    fresh,
    trusting,
)

HERE = Path(__file__).parent.parent / "tls"
CERT, KEY = str(HERE / "localhost.crt"), str(HERE / "localhost.key")
HEAD = b"HTTP/1.1 200 OK\r\n"


def context(**settings: Any) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(CERT, KEY)
    for name, value in settings.items():
        setattr(made, name, value)
    return made


def order(port: int, host: str = "localhost") -> Request:
    return Request("POST", f"https://{host}:{port}/charges", {}, b"{}")


@pytest.fixture
async def transport() -> AsyncIterator[HttpTransport]:
    made = HttpTransport(secured=trusting(CERT))
    yield made
    await made.close()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_connections_are_kept(transport: HttpTransport, version: ssl.TLSVersion) -> None:
    """TLS 1.3 sends tickets after the handshake; they are not bytes that nobody asked for."""
    async with ScriptedServer(OK, tls=context(maximum_version=version)) as server:
        for _ in range(5):
            await answered(transport, order(server.port))
            await asyncio.sleep(0.01)
        assert (server.connections, server.requests) == (1, 5)
        done = await transport.exchange(order(server.port), PATIENT, expired())
        assert done == Exchange(Phase.UNSENT, None, "permit_expired")
        assert server.requests == 5


async def test_tickets_that_wait_in_the_socket_do_not_stop_the_first_request(
    transport: HttpTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with listening.accept()[0] as plain, context().wrap_socket(plain, server_side=True) as tls:
            tls.recv(4_096)
            tls.sendall(OK)

    original = asyncio.get_running_loop().create_connection

    async def slowly(*args: Any, **kwargs: Any) -> object:
        made = await original(*args, **kwargs)
        time.sleep(0.05)  # the tickets arrive, and the loop has no turn to read them
        return made

    monkeypatch.setattr(asyncio.get_running_loop(), "create_connection", slowly)
    serving = asyncio.create_task(asyncio.to_thread(serve))
    await answered(transport, order(listening.getsockname()[1]))
    await serving
    listening.close()


async def test_the_name_is_sent_and_checked(transport: HttpTransport) -> None:
    asked: list[str | None] = []
    tls = context()
    tls.sni_callback = lambda _socket, name, _context: asked.append(name)
    async with ScriptedServer(OK, tls=tls) as server:
        await answered(transport, order(server.port))
        await answered(transport, order(server.port, "127.0.0.1"))
        # The certificate does not name this host, though it is the same machine.
        done = await transport.exchange(order(server.port, "127.0.0.2"), PATIENT, fresh())
    assert done.phase is Phase.UNSENT
    assert asked[:2] == ["localhost", None]


async def test_a_host_that_the_certificate_does_not_name(transport: HttpTransport) -> None:
    async with ScriptedServer(OK, tls=context(), host="127.0.0.2") as server:
        done = await transport.exchange(order(server.port, "127.0.0.2"), PATIENT, fresh())
        assert done == Exchange(Phase.UNSENT, None, "tls")
        assert server.requests == 0


def test_what_is_trusted() -> None:
    made = module._usual_tls()
    assert made.verify_mode is ssl.CERT_REQUIRED
    assert made.check_hostname
    assert made.minimum_version >= ssl.TLSVersion.TLSv1_2


async def test_client_certificates(transport: HttpTransport) -> None:
    tls = context(verify_mode=ssl.CERT_REQUIRED, maximum_version=ssl.TLSVersion.TLSv1_2)
    tls.load_verify_locations(CERT)
    async with ScriptedServer(OK, tls=tls) as server:
        done = await transport.exchange(order(server.port), PATIENT, fresh())
        assert done.phase is Phase.UNSENT
        assert server.requests == 0
        known = HttpTransport(secured=trusting(CERT, CERT, KEY))
        await answered(known, order(server.port))
        await known.close()


async def test_without_its_client_certificate_on_tls_1_3_nothing_is_believed(
    transport: HttpTransport,
) -> None:
    """There the refusal comes after our handshake: a request may have left, none was read."""
    tls = context(verify_mode=ssl.CERT_REQUIRED, minimum_version=ssl.TLSVersion.TLSv1_3)
    async with ScriptedServer(OK, tls=tls) as server:
        done = await transport.exchange(order(server.port), PATIENT, fresh())
        assert done.reply is None
        assert server.requests == 0


async def test_a_body_until_close_notify(transport: HttpTransport) -> None:
    async with ScriptedServer(Last(HEAD + b"\r\nwhole"), tls=context()) as server:
        done = await answered(transport, order(server.port))
        assert done.reply is not None
        assert done.reply.body == b"whole"


async def test_a_body_until_a_bare_fin_could_have_been_cut_by_anyone(
    transport: HttpTransport,
) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"{}")
        writer.write(HEAD + b"\r\npart")
        await writer.drain()
        with socket.socket(fileno=os.dup(writer.get_extra_info("socket").fileno())) as bare:
            bare.shutdown(socket.SHUT_WR)
        await reader.read()
        writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context())
    port = server.sockets[0].getsockname()[1]
    done = await transport.exchange(order(port), PATIENT, fresh())
    assert done.phase is Phase.SENT
    assert done.error in ("truncated", "reset")
    server.close()


@pytest.mark.parametrize("pause", [0.0, 0.05])
async def test_unasked_bytes_on_an_idle_connection(transport: HttpTransport, pause: float) -> None:
    async with ScriptedServer(OK, tls=context()) as server:
        await answered(transport, order(server.port))
        server.writers[0].write(http(402, b'{"error":{"type":"card_error"}}'))
        if pause:
            await asyncio.sleep(pause)
        done = await answered(transport, order(server.port))
        assert done.reply is not None
        assert done.reply.status == 200
        assert server.connections == 2


async def test_garbage_behind_an_answer(transport: HttpTransport) -> None:
    async with ScriptedServer(OK + http(402, b"{}"), tls=context()) as server:
        for _ in range(2):
            done = await answered(transport, order(server.port))
            assert done.reply is not None
            assert done.reply.status == 200
        assert server.connections == 2


async def test_a_handshake_that_hangs_is_unsent(monkeypatch: pytest.MonkeyPatch) -> None:
    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    spied = SpyTransport.install(monkeypatch)
    server = await asyncio.start_server(mute, "127.0.0.1", 0)
    transport = HttpTransport(secured=trusting(CERT))
    port = server.sockets[0].getsockname()[1]
    done = await transport.exchange(order(port), HASTY_CONNECT, fresh())
    assert done == Exchange(Phase.UNSENT, None, "connect_timeout")
    assert spied.written == []
    await transport.close()
    server.close()


async def test_the_hop_over_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    async with ScriptedServer(OK, tls=context()) as server:
        strict = NodeClient(f"https://localhost:{server.port}")
        with pytest.raises(HopError) as refused:
            await strict.request("POST", b"/", body=b"x")
        assert refused.value.phase == "unsent"
        monkeypatch.setenv("SSL_CERT_FILE", CERT)
        client = NodeClient(f"https://localhost:{server.port}")
        for _ in range(3):
            assert (await client.request("POST", b"/", body=b"x")).status == 200
        assert (server.requests, client.open_connections) == (3, 1)
        for each in (strict, client):
            each.close()
        await asyncio.sleep(0)


async def test_the_hop_never_takes_a_close_for_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", CERT)
    async with ScriptedServer(Last(HEAD + b"\r\ncut?"), tls=context()) as server:
        client = NodeClient(f"https://localhost:{server.port}")
        with pytest.raises(HopError) as caught:
            await client.request("GET", b"/")
        assert caught.value.phase == "sent"
        client.close()


@pytest.mark.parametrize(
    "case",
    [
        test_connections_are_kept,
        test_a_body_until_close_notify,
        test_a_body_until_a_bare_fin_could_have_been_cut_by_anyone,
        test_unasked_bytes_on_an_idle_connection,
        test_garbage_behind_an_answer,
        test_client_certificates,
    ],
)
async def test_uvloop_behaves_alike(case: Callable[..., Any]) -> None:
    """The node runs on uvloop, whose transports and TLS are not asyncio's."""
    more: dict[Callable[..., Any], tuple[Any, ...]] = {
        test_connections_are_kept: (ssl.TLSVersion.TLSv1_3,),
        test_unasked_bytes_on_an_idle_connection: (0.05,),
    }

    async def run() -> None:
        transport = HttpTransport(secured=trusting(CERT))
        await case(transport, *more.get(case, ()))
        await transport.close()

    await asyncio.to_thread(uvloop.run, run())
