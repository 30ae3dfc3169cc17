"""Access behind streaming proxies that share connections, and before clients that offer HTTP/2.

Our own small peers are always there; nginx and the JDK's client are tried where they are installed.
"""

import asyncio
import contextlib
import os
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.edge_kit import UPGRADE, Raw, chunked
from tests.unit.access_kit import SECRET, Access, access

WISH = b"amount=1999&currency=eur&location[country]=DE"
FORM = b"content-type: application/x-www-form-urlencoded\r\n"
KEY = b"authorization: Bearer %b\r\n" % SECRET.encode()

PROXIES = ["ours", *(["nginx"] if shutil.which("nginx") else [])]
CLIENTS = ["ours", *(["jdk"] if shutil.which("javac") else [])]

NGINX = """\
daemon off;
worker_processes 1;
pid {folder}/pid;
error_log stderr;
{user}
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    upstream access {{ server 127.0.0.1:{upstream}; keepalive 1; }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://access;
            proxy_http_version 1.1;
            proxy_request_buffering off;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $http_connection;
        }}
    }}
}}
"""

# Defaults throughout: the client offers h2c with each first request of a connection.
JAVA = """\
import java.net.URI;
import java.net.http.*;
import java.util.*;

public class Peer {
    public static void main(String[] given) throws Exception {
        HttpClient client = HttpClient.newHttpClient();
        byte[] body = given[2].getBytes("US-ASCII");
        List<HttpRequest.BodyPublisher> publishers = List.of(
            HttpRequest.BodyPublishers.ofByteArray(body),
            HttpRequest.BodyPublishers.fromPublisher(
                HttpRequest.BodyPublishers.ofByteArrays(List.of(
                    Arrays.copyOf(body, 9), Arrays.copyOfRange(body, 9, body.length)))));
        for (HttpRequest.BodyPublisher publisher : publishers) {
            HttpRequest request = HttpRequest.newBuilder(URI.create(given[0]))
                .header("Authorization", "Bearer " + given[1])
                .header("Content-Type", "application/x-www-form-urlencoded")
                .POST(publisher).build();
            HttpResponse<String> answer =
                client.send(request, HttpResponse.BodyHandlers.ofString());
            System.out.println(answer.statusCode() + " " + answer.version());
            client = HttpClient.newHttpClient();
        }
    }
}
"""


class SharedUpstream:
    """A proxy that streams every request over one connection to its server, as it comes: head at
    once, body behind it, and takes the next client's as soon as the last one's is answered."""

    def __init__(self, upstream: int) -> None:
        self._upstream = upstream
        self._turn = asyncio.Lock()
        self._shared: Raw | None = None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            head = await reader.readuntil(b"\r\n\r\n")
            async with self._turn:
                if self._shared is None:
                    self._shared = await Raw.to(self._upstream)
                self._shared.write(head)
                await self._shared.writer.drain()
                for line in head.lower().split(b"\r\n"):
                    if line.startswith(b"content-length:"):
                        self._shared.write(await reader.readexactly(int(line[15:])))
                    elif line.startswith(b"transfer-encoding:"):
                        await self._stream_chunks(reader, self._shared)
                answer = await self._shared.answer()
            writer.write(
                b"HTTP/1.1 %d X\r\ncontent-length: %d\r\n\r\n%b"
                % (answer.status, len(answer.body), answer.body)
            )
        writer.close()

    async def _stream_chunks(self, reader: asyncio.StreamReader, upstream: Raw) -> None:
        size = -1
        while size:
            line = await reader.readline()
            size = int(line, 16)
            upstream.write(line + await reader.readexactly(size + 2))
            await upstream.writer.drain()


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@asynccontextmanager
async def proxy(kind: str, upstream: int, folder: Path) -> AsyncIterator[int]:
    """The port of a streaming proxy before the server at ``upstream``."""
    if kind == "ours":
        server = await asyncio.start_server(SharedUpstream(upstream).serve, "127.0.0.1", 0)
        yield int(server.sockets[0].getsockname()[1])
        server.close()
        return
    port = free_port()
    user = "user root;" if os.geteuid() == 0 else ""
    text = NGINX.format(folder=folder, user=user, upstream=upstream, port=port)
    (folder / "nginx.conf").write_text(text)
    command = ["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", "stderr"]
    process = await asyncio.create_subprocess_exec(*command)
    try:
        async with asyncio.timeout(20):
            while True:
                with contextlib.suppress(OSError):
                    (await Raw.to(port)).close()
                    break
                await asyncio.sleep(0.05)
        yield port
    finally:
        process.terminate()
        await process.wait()


def create(key: bytes, framed: bytes, more: bytes = b"") -> bytes:
    return (
        b"POST /v1/payment_intents HTTP/1.1\r\nHost: pay.example\r\n" + KEY + FORM
        + b"Idempotency-Key: %b\r\n" % key + more + framed
    )  # fmt: skip


async def through(port: int, request: bytes, front: Access | None = None) -> int:
    """The status of the answer; with ``front``, what follows the head is sent once access has
    the head."""
    raw = await Raw.to(port)
    if front is not None:
        head, _, request = request.partition(b"\r\n\r\n")
        raw.write(head + b"\r\n\r\n")
        async with asyncio.timeout(20):
            while not heard(front):
                await asyncio.sleep(0.01)
    raw.write(request)
    top = await asyncio.wait_for(raw.reader.readline(), 20)
    raw.close()
    return int(top.split()[1])


def heard(front: Access) -> bool:
    """Whether access has read the head of any request."""
    return any(each.cycle is not None for each in front.server._server.server_state.connections)


def bodies(front: Access) -> list[tuple[str, bytes]]:
    return [(call.headers["idempotency-key"], call.body) for call in front.nodes[0].calls]


@pytest.mark.parametrize("kind", PROXIES)
@pytest.mark.parametrize("way", ["length", "chunked"])
async def test_no_client_reads_another_ones_request(tmp_path: Path, kind: str, way: str) -> None:
    """The body of the first is a payment of its own with room for what comes next."""
    more = WISH + b"&metadata[got]="
    body = create(b"trap", b"Content-Length: %d\r\n\r\n%b" % (len(more) + 400, more))
    framed = b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
    if way == "chunked":
        framed = b"Transfer-Encoding: chunked\r\n\r\n" + chunked(body)
    victims = create(b"victim", b"Content-Length: %d\r\n\r\n%b" % (len(WISH), WISH))
    world = tmp_path / "world"
    world.mkdir()
    async with access(world) as front, proxy(kind, front.server.port, tmp_path) as port:
        attack = create(b"attacker", framed, UPGRADE)
        assert await through(port, attack, front) == 400  # no such form
        assert await through(port, victims) == 200
        assert bodies(front) == [("victim", WISH)]


@pytest.mark.parametrize("kind", CLIENTS)
async def test_a_client_that_offers_http_2_pays_by_http_1(tmp_path: Path, kind: str) -> None:
    world = tmp_path / "world"
    world.mkdir()
    async with access(world) as front:
        port = front.server.port
        if kind == "jdk":
            (tmp_path / "Peer.java").write_text(JAVA)
            url = f"http://127.0.0.1:{port}/v1/payment_intents"
            process = await asyncio.create_subprocess_exec(
                "java", str(tmp_path / "Peer.java"), url, SECRET, WISH.decode(),
                stdout=subprocess.PIPE,
            )  # fmt: skip
            said, _ = await asyncio.wait_for(process.communicate(), 100)
            assert said.split() == [b"200", b"HTTP_1_1"] * 2
        else:
            for framed in (
                b"content-length: %d\r\n\r\n%b" % (len(WISH), WISH),
                b"transfer-encoding: chunked\r\n\r\n" + chunked(WISH[:9], WISH[9:]),
            ):
                assert await through(port, create(b"k", framed, UPGRADE)) == 200
        assert [call.body for call in front.nodes[0].calls] == [WISH, WISH]
