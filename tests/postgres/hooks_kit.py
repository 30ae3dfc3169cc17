"""Webhook endpoints over real HTTP: servers that answer, or never do, and what is owed to them."""

import asyncio
import functools
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import asyncpg

from bailiwick.base.clock import now_ms
from bailiwick.base.ids import new_id
from bailiwick.delivery.deliverer import Deliverer
from bailiwick.delivery.webhooks import Endpoints
from bailiwick.node import assembly
from bailiwick.resources.events.shown import one
from tests.store_kit import NodeStore

BODY = '{"object":"payment_intent"}'


class Sink:
    """A server for webhooks. What it does follows from the path: ``/silent/...`` is never
    answered, ``/slow/...`` after a while, ``/broken/...`` with 500; anything else with 200.

    Attributes:
        log: what happened, in its order: ``came``, ``answered`` or ``hung up``, path, event.
        said: whole answers by path, where one is to say more than a status.
        heads, bodies: of the requests that came.
    """

    def __init__(self) -> None:
        self.log: list[tuple[str, str, str]] = []
        self.statuses: list[int] = []
        self.under_way: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self.said: dict[str, bytes] = {}
        self.heads: list[dict[str, str]] = []
        self.bodies: list[bytes] = []
        self.port = 0

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def seen(self, what: str, path: str) -> list[str]:
        """The events of this kind and of paths that begin so."""
        return [event for kind, at, event in self.log if kind == what and at.startswith(path)]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = event = ""
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                path = head.split(" ")[1]
                fields = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if line)
                named = {name.lower(): value for name, value in fields.items()}
                self.bodies.append(await reader.readexactly(int(named["content-length"])))
                self.heads.append(named)
                event = named["webhook-id"]
                self.log.append(("came", path, event))
                self.under_way[path] += 1
                self.most[path] = max(self.most[path], self.under_way[path])
                try:
                    status = await self.answer(path, reader)
                finally:
                    self.under_way[path] -= 1
                self.log.append(("answered", path, event))
                plain = f"HTTP/1.1 {status} X\r\ncontent-length: 0\r\n\r\n".encode()
                writer.write(self.said.get(path, plain))
        except (asyncio.IncompleteReadError, ConnectionError):
            if path.startswith("/silent"):
                self.log.append(("hung up", path, event))
        finally:
            writer.close()

    async def answer(self, path: str, reader: asyncio.StreamReader) -> int:
        if path.startswith("/silent"):
            await reader.readexactly(1)  # nothing more comes: until the other side hangs up
        if path.startswith("/slow"):
            await asyncio.sleep(0.02)
        if path.startswith("/broken"):
            return 500
        return self.statuses.pop(0) if self.statuses else 200


@asynccontextmanager
async def sink() -> AsyncIterator[Sink]:
    made = Sink()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()


@asynccontextmanager
async def delivering(store: NodeStore) -> AsyncIterator[Deliverer]:
    """A node's deliverer at work."""
    endpoints = Endpoints()
    await endpoints.load(store)
    shown = functools.partial(one, assembly.kinds(), store, name="event")
    deliverer = Deliverer(store, endpoints, shown, private=True, every_s=0.05)
    task = asyncio.create_task(deliverer.run())
    try:
        yield deliverer
    finally:
        task.cancel()
        await asyncio.wait([task])
        assert not deliverer._running


_numbers = itertools.count(1)


async def endpoint(
    sql: asyncpg.Connection, merchant: str, url: str, *, livemode: bool = False
) -> str:
    """A merchant's endpoint; its id."""
    identifier = new_id("we", 0, now_ms())
    await sql.execute(
        "INSERT INTO webhook_endpoint VALUES ($1, $2, $3, $4, $5, '[\"*\"]', 'enabled', 1, '{}')",
        identifier, merchant, livemode, url, "whsec_" + "0" * 48,
    )  # fmt: skip
    return identifier


async def owe(
    sql: asyncpg.Connection, to: str, payments: int, *, versions: int = 1, age: str = "0 s"
) -> list[str]:
    """Events of so many payments owed to an endpoint; their ids, in order."""
    events, deliveries = [], []
    for _ in range(payments):
        payment = new_id("pi", 1, now_ms())
        for seq in range(1, versions + 1):
            event = new_id("evt", 1, next(_numbers))
            events.append((event, payment, seq, "acct_1", False, "x", BODY, 1, 1))
            deliveries.append((event, to, payment, seq))
    columns = ("id subject seq merchant livemode type body writer created_ms").split()
    await sql.copy_records_to_table("event", records=events, columns=columns)
    columns = ["event", "endpoint", "subject", "seq"]
    await sql.copy_records_to_table("delivery", records=deliveries, columns=columns)
    await sql.execute(
        "UPDATE delivery SET next_at = next_at - $2::text::interval WHERE endpoint = $1", to, age
    )
    return [event for event, *_ in events]


async def owed(sql: asyncpg.Connection, *endpoints: str) -> int:
    """How much is still owed to endpoints."""
    found: int = await sql.fetchval(
        "SELECT count(*) FROM delivery WHERE endpoint = ANY ($1) AND next_at IS NOT NULL",
        list(endpoints),
    )
    return found


async def until(condition: Callable[[], object]) -> None:
    """Wait for something that the servers have seen."""
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.01)


async def until_paid(sql: asyncpg.Connection, *endpoints: str) -> None:
    """Wait until nothing is owed to endpoints."""
    async with asyncio.timeout(60):
        while await owed(sql, *endpoints):
            await asyncio.sleep(0.01)
