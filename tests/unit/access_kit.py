"""An access process in this event loop, with stub nodes that answer as told."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.parse import parse_qs

import msgspec

from bailiwick.access.app import build
from bailiwick.access.fanout import lists
from bailiwick.access.front import Front
from bailiwick.access.nodes import admission_batcher, node_monitor
from bailiwick.access.nodes.forward import Answer, HopLimits, NodeClient
from bailiwick.access.status import build_status
from bailiwick.base import sealing
from bailiwick.geo import atlas
from bailiwick.interlink import copies
from bailiwick.topology.merchants import key_hash
from bailiwick.wire.server import HttpServer
from tests.waiting import PATIENCE_S

SECRET = "sk_test_abcdefghijklmnop"
INTERNAL = b"internal"
PUBLISHABLE = "pk_test_abcdefghijklmnop"
ATLAS = atlas.load()
PATIENT = HopLimits(connect_seconds=PATIENCE_S, wait_seconds=PATIENCE_S, total_seconds=PATIENCE_S)


class Call:
    """One request as a stub node saw it."""

    def __init__(self, scope: dict[str, Any], body: bytes) -> None:
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.query: bytes = scope["query_string"]
        self.headers: dict[str, str] = {
            name.decode(): value.decode("latin-1") for name, value in scope["headers"]
        }
        self.body = body


Reply = tuple[int, dict[str, str], Any]
Answering = Callable[[Call], Reply | Awaitable[Reply | None] | None]


class StubNode:
    """Plays a node: reports usage state, records calls, answers with ``answer(call)``.

    An answer of None drops the connection without a word.
    """

    def __init__(self, number: int, name: str) -> None:
        self.number = number
        self.name = name
        self.calls: list[Call] = []
        self.usage: dict[str, Any] = {"node": number, "inflight": 0, "capacity": 100}
        self.answer: Answering = lambda call: (200, {}, {"node": name})
        self.server = HttpServer(self.app, grace_s=PATIENCE_S)

    async def start(self) -> None:
        await self.server.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.port}"

    async def app(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        body = b""
        while True:
            event = await receive()
            body += event.get("body", b"")
            if not event.get("more_body"):
                break
        call = Call(scope, body)
        usage = json.dumps(self.usage)
        if call.path == "/usage":
            status, headers, value = 200, {}, self.usage
        elif call.path == copies.PATH:
            status, (headers, value) = 200, no_endpoints(call)
        else:
            self.calls.append(call)
            found = self.answer(call)
            reply = await found if isinstance(found, Awaitable) else found
            if reply is None:
                # What uvicorn does for an application that fails midway: it just closes.
                for connection in list(self.server._server.server_state.connections):
                    connection.transport.abort()  # type: ignore[union-attr]
                return
            status, headers, value = reply
        data = value if isinstance(value, bytes) else json.dumps(value).encode()
        lines = {
            "content-type": "application/json",
            "content-length": str(len(data)),
            "bailiwick-usage": usage,
            **headers,
        }
        raw = [(name.encode(), value.encode()) for name, value in lines.items()]
        await send({"type": "http.response.start", "status": status, "headers": raw})
        await send({"type": "http.response.body", "body": data})


def no_endpoints(call: Call) -> tuple[dict[str, str], bytes]:
    """What a node tells that has no webhook endpoints."""
    body = msgspec.json.encode(copies.CopiesAnswer())
    proof = sealing.answer_seal(INTERNAL, copies.KIND, call.headers[sealing.SEAL], body)
    return {sealing.SEAL: proof}, body


def listing(ids: list[str], params: dict[str, str]) -> tuple[list[str], bool]:
    """What a node answers: up to ``limit`` objects nearest to the cursor, newest first."""
    limit = int(params.get("limit", 10))
    found = sorted(ids, reverse=True)
    if "starting_after" in params:
        found = [i for i in found if i < params["starting_after"]]
    if "ending_before" in params:
        found = [i for i in found if i > params["ending_before"]]
        return found[-limit:], len(found) > limit
    return found[:limit], len(found) > limit


def serving(ids: list[str]) -> Any:
    def answer(call: Call) -> Reply:
        params = {name: values[0] for name, values in parse_qs(call.query.decode()).items()}
        found, more = listing(ids, params)
        data = [{"id": i, "object": "payment_intent"} for i in found]
        return 200, {}, {"object": "list", "url": call.path, "has_more": more, "data": data}

    return answer


def refusal(number: int, reason: str = "overloaded") -> Reply:
    token = f"{number}.1.{reason}.{'ab' * 32}"
    return 503, {"bailiwick-refusal": token}, {"error": {"type": "api_error", "message": reason}}


def write_world(
    directory: Path, nodes: dict[str, tuple[int, str]], *, epoch: int = 1, keys: str = ""
) -> None:
    """A world of up to three nodes: DE strict at the first, IN preferring the second, the rest
    free from the first on."""
    names = list(nodes)
    lines = [f"epoch = {epoch}"]
    for name, (number, url) in nodes.items():
        lines.append(f'[[nodes]]\nnumber = {number}\nname = "{name}"\nurl = "{url}"\ntitle = "T"')
    second = names[1] if len(names) > 1 else names[0]
    prefer = ", ".join(f'"{name}"' for name in dict.fromkeys([second, names[0]]))
    for places, allowed, residency in (
        ('"DE"', f'"{names[0]}"', "strict"),
        ('"IN"', prefer, "prefer"),
        ('"default"', f'"{names[0]}"', "free"),
    ):
        lines.append(
            f'[[rules]]\nplaces = [{places}]\nnodes = [{allowed}]\nresidency = "{residency}"'
        )
    lines.append("[thresholds]\nclose_after_reports = 1\nopen_after_ms = 0")
    (directory / "topology.toml").write_text("\n".join(lines))
    keys = keys or "".join(
        f'[[merchants.keys]]\nsha256 = "{key_hash(key)}"\nkind = "{kind}"\nmode = "test"\n'
        for key, kind in ((SECRET, "secret"), (PUBLISHABLE, "publishable"))
    )
    (directory / "merchants.toml").write_text(
        f'[[merchants]]\nid = "acct_demo"\nname = "Demo"\n{keys}'
    )


class Access:
    """Access with its stub nodes, and a client."""

    def __init__(
        self,
        front: Front,
        server: HttpServer,
        operators: HttpServer,
        nodes: list[StubNode],
        path: Path,
    ) -> None:
        self.front = front
        self.server = server
        self.operators = operators
        self.nodes = nodes
        self.path = path
        self._client = NodeClient(f"http://127.0.0.1:{server.port}", PATIENT)
        self._operator = NodeClient(f"http://127.0.0.1:{operators.port}", PATIENT)

    async def status(self, target: str) -> Answer:
        """What an operator is told."""
        return await self._operator.request("GET", target.encode())

    async def call(
        self,
        method: str,
        target: str,
        body: bytes | str = b"",
        *,
        key: str | None = SECRET,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        lines = dict(headers or {})
        if key is not None:
            lines.setdefault("authorization", f"Bearer {key}")
        raw = body.encode() if isinstance(body, str) else body
        if raw:
            lines.setdefault("content-type", "application/x-www-form-urlencoded")
        encoded = [f"{name}: {value}\r\n".encode() for name, value in lines.items()]
        return await self._client.request(method, target.encode(), encoded, raw)

    async def json(self, *args: Any, **kwargs: Any) -> tuple[int, Any]:
        answer = await self.call(*args, **kwargs)
        return answer.status, json.loads(answer.body)


@asynccontextmanager
async def access(
    path: Path, names: tuple[str, ...] = ("europe", "apac"), **options: Any
) -> AsyncIterator[Access]:
    nodes = [StubNode(number, name) for number, name in enumerate(names, 1)]
    for node in nodes:
        await node.start()
    write_world(path, {node.name: (node.number, node.url) for node in nodes})
    limits = options.pop("limits", PATIENT)
    with patience():
        front = Front(path, INTERNAL, atlas=ATLAS, limits=limits, **options)
        await front.node_monitor.ask_all()
        server = HttpServer(build(front), grace_s=PATIENCE_S)
        await server.start()
        operators = HttpServer(build_status(front), grace_s=PATIENCE_S)
        await operators.start()
        made = Access(front, server, operators, nodes, path)
        try:
            yield made
        finally:
            made._client.close()
            made._operator.close()
            await server.stop()
            await operators.stop()
            await front.stop()
            await asyncio.gather(*(node.server.stop() for node in nodes))


@contextmanager
def patience() -> Iterator[None]:
    """However slow the machine is, no stub node's answer is too late."""
    narrow = msgspec.structs.replace(PATIENT, connections=1, waiting=0)
    with (
        mock.patch.object(node_monitor, "_POLL_TIMEOUT_S", PATIENCE_S),
        mock.patch.object(lists, "TIMEOUT_S", PATIENCE_S),
        mock.patch.object(admission_batcher, "_LIMITS", narrow),
    ):
        yield
