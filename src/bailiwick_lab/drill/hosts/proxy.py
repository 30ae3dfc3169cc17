"""A small TCP fault proxy, in-process and on loopback: it does to a connection what it is told.

The vocabulary is Toxiproxy's (https://github.com/Shopify/toxiproxy): latency, down, bandwidth,
slow_close, timeout, reset_peer, slicer, limit_data. A toxic acts on one direction: ``upstream``
(client to server) or ``downstream``. Toxics are looked at for every piece of data, so one that
is added later also hits connections that are already open: that is how a *reused* connection is
broken. Times are milliseconds, rates kilobytes a second, sizes bytes.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
from dataclasses import dataclass, field
from typing import Any, Literal, Self

Stream = Literal["upstream", "downstream"]
KINDS = frozenset(
    {"latency", "bandwidth", "slow_close", "timeout", "reset_peer", "slicer", "limit_data"}
)
_PIECE = 65_536


@dataclass
class Toxic:
    """One fault in one direction; ``toxicity`` is the share of connections that it hits."""

    kind: str
    stream: Stream = "downstream"
    toxicity: float = 1.0
    attributes: dict[str, int] = field(default_factory=dict)

    def get(self, name: str, default: int = 0) -> int:
        """An attribute of the toxic, as Toxiproxy names it."""
        return self.attributes.get(name, default)


class _Cut(Exception):
    """The connection ends here: by a reset, or in an orderly way."""

    def __init__(self, *, reset: bool) -> None:
        super().__init__()
        self.reset = reset


class _Link:
    """One proxied connection."""

    def __init__(self, proxy: FaultProxy, client: asyncio.StreamWriter) -> None:
        self.proxy = proxy
        self.client = client
        self.server: asyncio.StreamWriter | None = None
        self.passed: dict[Stream, int] = {"upstream": 0, "downstream": 0}
        self._hit: dict[int, bool] = {}

    def toxics(self, stream: Stream) -> list[Toxic]:
        """The toxics that hit this connection in this direction, in order of their adding."""
        found = []
        for toxic in self.proxy.toxics:
            if toxic.stream != stream:
                continue
            chosen = self._hit.setdefault(id(toxic), self.proxy.random.random() < toxic.toxicity)
            if chosen:
                found.append(toxic)
        return found

    def close(self, *, reset: bool) -> None:
        """End both sides; a reset discards what is still buffered."""
        for writer in (self.client, self.server):
            if writer is None:
                continue
            if reset:
                sock = writer.get_extra_info("socket")
                with contextlib.suppress(OSError):
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
            else:
                writer.close()

    async def pump(
        self, stream: Stream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Carry one direction until its end."""
        while data := await reader.read(_PIECE):
            self.proxy.seen[stream] += len(data)
            for piece in await self._apply(stream, data):
                await self._write(stream, writer, piece)
        for toxic in self.toxics(stream):
            if toxic.kind == "slow_close":
                await asyncio.sleep(toxic.get("delay") / 1000)
        if writer.can_write_eof():
            writer.write_eof()

    async def _apply(self, stream: Stream, data: bytes) -> list[bytes]:
        pieces = [data]
        for toxic in self.toxics(stream):
            if toxic.kind == "latency":
                jitter = toxic.get("jitter")
                delay = toxic.get("latency") + self.proxy.random.randint(-jitter, jitter)
                await asyncio.sleep(max(0, delay) / 1000)
            elif toxic.kind == "timeout":
                await asyncio.sleep(toxic.get("timeout") / 1000 or 3600)
                raise _Cut(reset=False)
            elif toxic.kind == "reset_peer":
                await asyncio.sleep(toxic.get("timeout") / 1000)
                raise _Cut(reset=True)
            elif toxic.kind == "slicer":
                pieces = self._slice(toxic, pieces)
        return pieces

    def _slice(self, toxic: Toxic, pieces: list[bytes]) -> list[bytes]:
        sliced = []
        for piece in pieces:
            start = 0
            while start < len(piece):
                variation = toxic.get("size_variation")
                size = toxic.get("average_size", 1)
                size += self.proxy.random.randint(-variation, variation)
                sliced.append(piece[start : start + max(1, size)])
                start += max(1, size)
        return sliced

    async def _write(self, stream: Stream, writer: asyncio.StreamWriter, piece: bytes) -> None:
        for toxic in self.toxics(stream):
            if toxic.kind == "slicer":
                await asyncio.sleep(toxic.get("delay") / 1_000_000)
            elif toxic.kind == "bandwidth":
                await asyncio.sleep(len(piece) / (toxic.get("rate", 1) * 1000))
            elif toxic.kind == "limit_data":
                left = toxic.get("bytes") - self.passed[stream]
                if len(piece) >= left:
                    writer.write(piece[: max(0, left)])
                    self.passed[stream] += max(0, left)
                    await writer.drain()
                    raise _Cut(reset=False)
        writer.write(piece)
        self.passed[stream] += len(piece)
        self.proxy.passed[stream] += len(piece)
        await writer.drain()


class FaultProxy:
    """``async with FaultProxy(host, port) as proxy: ... proxy.port ...``

    Attributes:
        connections: accepted so far.
        seen: bytes received per direction, before any toxic.
        passed: bytes handed on per direction.
    """

    def __init__(self, host: str, port: int, *, seed: int = 0) -> None:
        self._upstream = (host, port)
        self.toxics: list[Toxic] = []
        self.random = random.Random(seed)
        self.connections = 0
        self.seen: dict[Stream, int] = {"upstream": 0, "downstream": 0}
        self.passed: dict[Stream, int] = {"upstream": 0, "downstream": 0}
        self.port = 0
        self._server: asyncio.Server | None = None
        self._links: dict[asyncio.Task[Any], _Link] = {}

    async def __aenter__(self) -> Self:
        await self.up()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.down()

    def add(
        self, kind: str, stream: Stream = "downstream", toxicity: float = 1.0, **attributes: int
    ) -> Toxic:
        """Put a toxic in force, for open connections too."""
        if kind not in KINDS:
            raise ValueError(f"unknown toxic {kind!r}: one of {sorted(KINDS)}, or down()")
        toxic = Toxic(kind, stream, toxicity, attributes)
        self.toxics.append(toxic)
        return toxic

    def clear(self) -> None:
        """Lift all toxics."""
        self.toxics.clear()

    async def up(self) -> None:
        """Accept connections, on the same port as before."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def down(self) -> None:
        """Refuse new connections and end the open ones."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        tasks = list(self._links)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def reset_all(self) -> None:
        """Reset every open connection now, idle ones included."""
        for link in self._links.values():
            link.close(reset=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        link = _Link(self, writer)
        task = asyncio.current_task()
        assert task is not None
        self._links[task] = link
        try:
            await self._carry(link, reader)
        except asyncio.CancelledError:
            link.close(reset=False)
        finally:
            del self._links[task]

    async def _carry(self, link: _Link, reader: asyncio.StreamReader) -> None:
        try:
            back, link.server = await asyncio.open_connection(*self._upstream)
        except OSError:
            link.close(reset=True)
            return
        pumps = [
            asyncio.create_task(link.pump("upstream", reader, link.server)),
            asyncio.create_task(link.pump("downstream", back, link.client)),
        ]
        try:
            await asyncio.gather(*pumps)
            link.close(reset=False)
        except _Cut as cut:
            link.close(reset=cut.reset)
        except OSError:
            link.close(reset=True)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
