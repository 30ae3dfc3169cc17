"""Whole nodes and an access process in this event loop: real HTTP, real databases; the providers
are banks in memory."""

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import msgspec

from bailiwick import resources
from bailiwick.access.app import build as build_access
from bailiwick.access.front import Front
from bailiwick.access.nodes.forward import HopLimits, NodeClient
from bailiwick.base.ids import new_id
from bailiwick.interlink.resource import larger_bodies
from bailiwick.node.app import build
from bailiwick.node.config import Loaded, NodeSettings
from bailiwick.node.service import Node
from bailiwick.resources.payments.rows import Details, Payment, PaymentCreate, Progress
from bailiwick.topology.merchants import key_hash
from bailiwick.wire.limits import Limits
from bailiwick.wire.server import HttpServer
from tests.postgres.node_kit import Bank, Banks
from tests.postgres.rows_kit import create
from tests.postgres.schemas import migrated
from tests.unit.access_kit import ATLAS, write_world

KEYS = {
    "sk_test_first": "acct_1", "sk_live_first": "acct_1", "sk_test_other": "acct_2",
    "pk_test_first": "acct_1",
}  # fmt: skip
SECRET = "sk_test_first"
LIMITS = Limits(larger=larger_bodies(resources.every()))
Answer = tuple[int, Any]


class One:
    """A node, its server and its bank."""

    def __init__(self, number: int, name: str) -> None:
        self.number = number
        self.name = name
        self.bank = Bank()
        self.server = HttpServer(self._app, LIMITS, grace_s=1)
        self.client: NodeClient
        self.dsn = ""
        self.node: Node
        self._build: Any = None

    async def start(self, dsn: str, path: Path) -> None:
        """Build it on an empty database; the world's files are there already."""
        settings = NodeSettings(
            number=self.number, name=self.name, listen="127.0.0.1:1", dsn=dsn, world="",
            internal_secret_file="",
        )  # fmt: skip
        self.node = Node(Loaded(settings, {}, b"internal", path))
        self.dsn = dsn
        self.use(Banks(self.bank))
        self.node.load.database_answers = True
        await self.node.store.open()
        self.client = NodeClient(f"http://127.0.0.1:{self.server.port}")

    def use(self, gateways: Any) -> None:
        """Pay over these."""
        node = self.node
        node.gateways = gateways
        node.assemble(gateways)
        self._build = build(node)

    async def _app(self, scope: Any, receive: Any, send: Any) -> None:
        await self._build(scope, receive, send)

    async def stop(self) -> None:
        self.client.close()
        self.node.streams.close()
        await self.server.stop()
        await self.node.store.close()

    def row(self, at: int, chars: int, **progress: Any) -> PaymentCreate:
        """A payment of some size, made at a moment: not confirmed."""
        identifier = new_id("pi", self.number, at)
        payment = Payment(
            id=identifier, merchant="acct_1", livemode=False, version=1,
            state="requires_payment_method", epoch=1, amount=1000, currency="EUR", created_ms=at,
            updated_ms=at,
            details=Details("cs_1", {"country": "DE"}, {"node": self.number, "name": self.name}),
            progress=Progress(description="x" * chars, **progress),
        )  # fmt: skip
        return create(
            id=identifier, now_ms=at, event_id=new_id("evt", self.number, at),
            content=msgspec.json.encode(payment).decode(), state=payment.state,
            attempt_id=None, gateway=None, instruction=None,
        )  # fmt: skip


class Site:
    """Nodes behind one access process."""

    def __init__(self, nodes: list[One], front: Front, url: str, client: NodeClient) -> None:
        self.nodes = nodes
        self.front = front
        self.url = url
        self._client = client

    async def ask(
        self,
        method: str,
        path: str,
        params: dict[str, Any] | None = None,
        *,
        body: bytes = b"",
        key: str = SECRET,
        at: One | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """Through access, or directly ``at`` a node; ``params`` are the query of a GET, else the
        form; ``body``: JSON instead."""
        lines = {"authorization": f"Bearer {key}", **(headers or {})}
        if params and method == "GET":
            path = f"{path}?{urlencode(params)}"
        elif params:
            body = urlencode(params).encode()
            lines["content-type"] = "application/x-www-form-urlencoded"
        elif body:
            lines.setdefault("content-type", "application/json")
        client = self._client if at is None else at.client
        encoded = [f"{name}: {value}\r\n".encode() for name, value in lines.items()]
        answer = await client.request(method, path.encode(), encoded, body)
        return answer.status, json.loads(answer.body)

    async def walk(
        self, path: str, cursor: str = "starting_after", at: One | None = None, **params: Any
    ) -> list[str]:
        """What the stock SDKs do: from page to page until there is no more; ids as they come."""
        seen: list[str] = []
        edge = params.pop(cursor, None)
        while True:
            wanted = {**params, **({} if edge is None else {cursor: edge})}
            status, page = await self.ask("GET", path, wanted, at=at)
            assert status == 200, page
            ids = [each["id"] for each in page["data"]]
            assert ids == sorted(ids, reverse=True)
            assert len(ids) <= params.get("limit", 10)
            assert set(page) - {"unavailable_nodes"} == {"object", "url", "has_more", "data"}
            if cursor == "ending_before":
                ids.reverse()
            seen += ids
            if not page["has_more"]:
                return seen
            assert ids, "an empty page that promises more: SDKs could not go on"
            edge = ids[-1]


def world(path: Path, nodes: list[One]) -> None:
    """DE at the first node, IN at the second, all else at the first."""
    keys = "".join(
        f'[[merchants]]\nid = "{merchant}"\nname = "{merchant}"\n'
        + "".join(
            f'[[merchants.keys]]\nsha256 = "{key_hash(key)}"\n'
            f'kind = "{"publishable" if key.startswith("pk") else "secret"}"\n'
            f'mode = "{"live" if "live" in key else "test"}"\n'
            for key, owner in KEYS.items()
            if owner == merchant
        )
        for merchant in dict.fromkeys(KEYS.values())
    )
    urls = {each.name: (each.number, f"http://127.0.0.1:{each.server.port}") for each in nodes}
    write_world(path, urls)
    (path / "merchants.toml").write_text(keys)


@asynccontextmanager
async def site(
    server_dsn: str, path: Path, names: tuple[str, ...], region: str | None = None
) -> AsyncIterator[Site]:
    """Started nodes with empty databases, and access to them."""
    nodes = [One(number, name) for number, name in enumerate(names, 1)]
    async with AsyncExitStack() as stack:
        for each in nodes:
            await each.server.start()
        world(path, nodes)
        for each in nodes:
            dsn = await stack.enter_async_context(migrated(server_dsn, each.number))
            await each.start(dsn, path)
            stack.push_async_callback(each.stop)
        limits = HopLimits(total_seconds=20)
        front = Front(path, b"internal", atlas=ATLAS, limits=limits, region=region)
        stack.push_async_callback(front.stop)
        await front.start()
        server = HttpServer(build_access(front), LIMITS, grace_s=1)
        await server.start()
        stack.push_async_callback(server.stop)
        stack.callback(front.streams.close)
        url = f"http://127.0.0.1:{server.port}"
        client = NodeClient(url, HopLimits(body_bytes=64 * 1024 * 1024))
        stack.callback(client.close)
        yield Site(nodes, front, url, client)
