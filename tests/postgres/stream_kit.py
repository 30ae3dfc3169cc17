"""A client of server-sent events, over a socket of its own."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple
from urllib.parse import urlencode, urlsplit

from tests.postgres.lists_kit import SECRET
from tests.waiting import PATIENCE_S


class Said(NamedTuple):
    """One block: what it says, and the id that a client would bring back after it."""

    id: str
    event: dict[str, Any] | None
    name: str
    comment: str


class Listening:
    """A stream that was begun.

    Attributes:
        status: of the answer; ``error``: its body, if it is no stream.
        last: the id that was told last.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._text = b""
        self.status = 0
        self.head: dict[str, str] = {}
        self.error: Any = None
        self.last = ""
        self.blocks: list[Said] = []

    async def begin(self, target: str, lines: dict[str, str]) -> None:
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        self._writer.write(f"GET {target} HTTP/1.1\r\nhost: x\r\n{head}\r\n".encode())
        told = (await self._reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        self.status = int(told[0].split(" ")[1])
        fields = (line.split(": ", 1) for line in told[1:] if line)
        self.head = {name.lower(): value for name, value in fields}
        if "content-length" in self.head:
            size = int(self.head["content-length"])
            self.error = json.loads(await self._reader.readexactly(size))["error"]

    async def block(self) -> Said | None:
        """The next block; None: the stream has ended."""
        while b"\n\n" not in self._text:
            size = int(await self._reader.readline(), 16)
            piece = await self._reader.readexactly(size + 2)
            if not size:
                return None
            self._text += piece[:-2]
        raw, _, self._text = self._text.partition(b"\n\n")
        fields = dict(line.split(": ", 1) for line in raw.decode().split("\n"))
        self.last = fields.get("id", self.last)
        data = fields.get("data")
        event = None if data is None else json.loads(data)
        said = Said(self.last, event, fields.get("event", "message"), fields.get("", ""))
        self.blocks.append(said)
        return said

    async def events(self, count: int) -> list[dict[str, Any]]:
        """The next events, so many of them."""
        found: list[dict[str, Any]] = []
        async with asyncio.timeout(PATIENCE_S):
            while len(found) < count:
                said = await self.block()
                assert said is not None, "it has ended"
                if said.event is not None:
                    found.append(said.event)
        return found

    def close(self) -> None:
        self._writer.close()


@asynccontextmanager
async def listening(
    url: str, *, key: str = SECRET, last: str | None = None, **params: Any
) -> AsyncIterator[Listening]:
    """The stream of ``GET /v1/events`` at an address."""
    where = urlsplit(url)
    reader, writer = await asyncio.open_connection(where.hostname, where.port, limit=2**20)
    made = Listening(reader, writer)
    lines = {"authorization": f"Bearer {key}", "accept": "text/event-stream"}
    if last is not None:
        lines["last-event-id"] = last
    query = f"?{urlencode(params)}" if params else ""
    try:
        await made.begin(f"/v1/events{query}", lines)
        yield made
    finally:
        made.close()
