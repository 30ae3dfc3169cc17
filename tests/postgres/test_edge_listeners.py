"""Hostile HTTP at every listener of ours: access, a node, and the node's public one, each with its
real application; a node stands on a real database."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from bailiwick.node.app import build
from bailiwick.node.config import load
from bailiwick.node.public import build_public
from bailiwick.node.service import Node
from bailiwick.wire.server import HttpServer
from tests.edge_kit import AMBIGUOUS, HOST, TARGETS, UPGRADE, VERSIONS, Raw, ask, chunked, refused
from tests.unit.access_kit import SECRET, Access, access, write_world

LISTENERS = ("access", "node", "public")
FORM = b"content-type: application/x-www-form-urlencoded\r\n"
KEY = b"authorization: Bearer %b\r\n" % SECRET.encode()
WISH = b"amount=1999&currency=eur&location[country]=DE"
NEXT = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"


class Edge:
    """All listeners; ``ports`` by name."""

    def __init__(self, front: Access, node: HttpServer, public: HttpServer) -> None:
        self.front = front
        self.ports = {
            "access": front.server.port,
            "node": node.port,
            "public": public.port,
        }


@pytest.fixture
async def edge(schema_dsn: str, tmp_path: Path) -> AsyncIterator[Edge]:
    world = tmp_path / "world"
    world.mkdir()
    write_world(world, {"europe": (1, "http://127.0.0.1:1")})
    (tmp_path / "secret").write_text("internal-secret-of-the-test")
    (tmp_path / "node.toml").write_text(
        'number = 1\nname = "europe"\nlisten = "127.0.0.1:0"\nworld = "world"\n'
        f'internal_secret_file = "secret"\ndsn = {json.dumps(schema_dsn)}\n'
    )
    node = Node(load(tmp_path / "node.toml"))
    await node.start()
    servers = [HttpServer(build(node), grace_s=1), HttpServer(build_public(node), grace_s=1)]
    for server in servers:
        await server.start()
    stubs = tmp_path / "stubs"
    stubs.mkdir()
    try:
        async with access(stubs) as front:
            yield Edge(front, *servers)
    finally:
        for server in servers:
            await server.stop()
        await node.stop()


def create(framed: bytes, more: bytes = b"") -> bytes:
    return b"POST /v1/payment_intents HTTP/1.1\r\n" + HOST + KEY + FORM + more + framed


def whole(body: bytes = WISH) -> bytes:
    return b"content-length: %d\r\n\r\n%b" % (len(body), body)


@pytest.mark.parametrize("listener", LISTENERS)
async def test_nothing_ambiguous_is_served(edge: Edge, listener: str) -> None:
    port = edge.ports[listener]
    for name, (rest, status) in AMBIGUOUS.items():
        for offer in (b"", UPGRADE):
            request = b"POST /v1/payment_intents HTTP/1.1\r\n" + HOST + KEY + FORM + offer + rest
            answer = await refused(port, request + NEXT)
            assert answer.status == status, (name, answer)
            assert answer.json["error"]["type"] == "invalid_request_error", name
    for name, (request, status) in VERSIONS.items():
        answer = await refused(port, request)
        assert answer.status == status, (name, answer)
        assert answer.json["error"]["type"] == "invalid_request_error", name
    assert [each.calls for each in edge.front.nodes] == [[], []]


@pytest.mark.parametrize("listener", LISTENERS)
async def test_one_spelling_of_a_path_is_served(edge: Edge, listener: str) -> None:
    port = edge.ports[listener]
    assert (await ask(port, NEXT)).status == 200
    for target in TARGETS:
        answer = await ask(port, NEXT.replace(b"/healthz", target, 1))
        assert answer.status in (400, 404), target
        assert answer.json["error"]["type"] == "invalid_request_error"
        assert answer.headers["request-id"].startswith("req_")
    for target in (b"http://pay.example/healthz", b"https://pay.example/healthz"):
        assert (await ask(port, NEXT.replace(b"/healthz", target, 1))).status == 200
    old = await refused(port, b"GET /healthz HTTP/1.0\r\n\r\n" + NEXT)
    assert old.status == 200


@pytest.mark.parametrize("listener", ["access", "node"])
async def test_nor_is_a_payment_made_at_another(
    edge: Edge, sql_of: asyncpg.Connection, listener: str
) -> None:
    for target in (
        b"//v1/payment_intents",
        b"/v1//payment_intents",
        b"/v1/payment_intents/",
        b"/v1%2fpayment_intents",
        b"/v1/x/%2e%2e/payment_intents",
    ):
        request = create(whole()).replace(b"/v1/payment_intents", target, 1)
        answer = await ask(edge.ports[listener], request)
        assert answer.status == 404, target
        assert answer.json["error"]["message"].startswith("Unrecognized request URL (POST: ")
    assert edge.front.nodes[0].calls == []
    assert await sql_of.fetchval("SELECT count(*) FROM payment") == 0


@pytest.fixture
async def sql_of(edge: Edge, schema_dsn: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(schema_dsn)
    yield connection
    await connection.close()


@pytest.mark.parametrize(
    "framed",
    [whole(), b"transfer-encoding: chunked\r\n\r\n" + chunked(WISH[:9], WISH[9:])],
    ids=["length", "chunked"],
)
async def test_the_node_takes_the_whole_body_of_what_offers_an_upgrade(
    edge: Edge, sql_of: asyncpg.Connection, framed: bytes
) -> None:
    raw = await Raw.to(edge.ports["node"])
    raw.write(create(framed, UPGRADE + b"idempotency-key: a\r\n") + NEXT)
    answer = await raw.answer()
    assert (answer.status, answer.json["amount"]) == (200, 1999)
    assert (await raw.answer()).json == {"status": "ok"}
    rows = await sql_of.fetch("SELECT id FROM payment")
    assert [row["id"] for row in rows] == [answer.json["id"]]
    raw.close()


async def test_access_hands_on_the_whole_body_of_what_offers_an_upgrade(edge: Edge) -> None:
    raw = await Raw.to(edge.ports["access"])
    for framed in (whole(), b"transfer-encoding: chunked\r\n\r\n" + chunked(WISH[:9], WISH[9:])):
        raw.write(create(framed, UPGRADE + b"idempotency-key: a\r\n") + NEXT)
        assert (await raw.answer()).status == 200
        assert (await raw.answer()).json["status"] == "ok"
    raw.close()
    calls = edge.front.nodes[0].calls
    assert [call.body for call in calls] == [WISH, WISH]
    assert not {"upgrade", "http2-settings", "connection"} & set(calls[0].headers)


async def test_white_space_makes_no_other_key_at_the_node(
    edge: Edge, sql_of: asyncpg.Connection
) -> None:
    made = set()
    for value in (b" k1", b" k1 ", b"\tk1\t", b"k1 \t "):
        answer = await ask(
            edge.ports["node"], create(whole(), b"Idempotency-Key:" + value + b"\r\n")
        )
        assert answer.status == 200
        made.add(answer.json["id"])
    assert len(made) == 1
    assert await sql_of.fetchval("SELECT count(*) FROM payment") == 1


async def test_nor_at_access(edge: Edge) -> None:
    for value in (b" k1", b" k1 ", b"\tk1\t", b"k1 \t "):
        request = create(whole(), b"Idempotency-Key:" + value + b"\r\n")
        assert (await ask(edge.ports["access"], request)).status == 200
    calls = edge.front.nodes[0].calls
    assert [call.headers["idempotency-key"] for call in calls] == ["k1"] * 4


@pytest.mark.parametrize("listener", LISTENERS)
async def test_a_packed_body_is_refused_by_name(edge: Edge, listener: str) -> None:
    answer = await refused(edge.ports[listener], create(whole(), b"content-encoding: gzip\r\n"))
    assert answer.status == 415
    assert "Content-Encoding" in answer.json["error"]["message"]


@pytest.mark.parametrize("listener", ["access", "node"])
async def test_a_trailer_is_no_key(edge: Edge, sql_of: asyncpg.Connection, listener: str) -> None:
    trailed = b"transfer-encoding: chunked\r\n\r\n" + chunked(WISH)[:-2]
    for key in (b"t1", b"t1"):
        request = create(trailed + b"idempotency-key: %b\r\n\r\n" % key)
        assert (await ask(edge.ports[listener], request)).status == 200
    if listener == "node":  # two payments: no key was given
        assert await sql_of.fetchval("SELECT count(*) FROM payment") == 2
    else:
        keys = [call.headers["idempotency-key"] for call in edge.front.nodes[0].calls]
        assert len(set(keys)) == 2
        assert "t1" not in keys
