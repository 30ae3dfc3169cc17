"""The routes of webhook endpoints at a node: real HTTP, real database, several merchants."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlencode

import asyncpg
import falcon.asgi
import msgspec
import pytest

from bailiwick.access.fanout.everywhere import derive
from bailiwick.access.nodes.forward import NodeClient
from bailiwick.base.clock import now_ms
from bailiwick.base.ids import new_id
from bailiwick.delivery.webhooks import Endpoints
from bailiwick.interlink import sealed_resource as sealing
from bailiwick.interlink.refusals import Refusals
from bailiwick.interlink.sealed_resource import (
    HEADER,
    SEAL,
    Given,
    read_resource,
    resource_lines,
)
from bailiwick.resources.webhook_endpoints.routes import ENDPOINTS_MAX, EndpointItem, EndpointList
from bailiwick.resources.webhook_endpoints.secret import ACTION, SecretRoll
from bailiwick.topology.merchants import Merchant, Merchants, Principal, key_hash
from bailiwick.wire.answers import install_errors
from bailiwick.wire.server import HttpServer
from tests.store_kit import NodeStore

SHARED = b"what access and nodes share"
LIST = "/v1/webhook_endpoints"
WISH = {"url": "https://shop.example/hooks", "enabled_events[0]": "*"}
KEYS = {
    "sk_a": Principal(Merchant("acct_a", "A"), "secret", False),
    "sk_a_live": Principal(Merchant("acct_a", "A"), "secret", True),
    "sk_b": Principal(Merchant("acct_b", "B"), "secret", False),
}


class Door:
    """A node's two routes, and who knocks."""

    def __init__(self, client: NodeClient) -> None:
        self._client = client

    async def ask(
        self,
        method: str,
        path: str,
        key: str = "sk_a",
        form: dict[str, str] | None = None,
        lines: list[bytes] | None = None,
    ) -> tuple[int, Any]:
        head = [f"authorization: Bearer {key}\r\n".encode(), *(lines or [])]
        head.append(b"content-type: application/x-www-form-urlencoded\r\n")
        body = urlencode(form or {}).encode()
        answer = await self._client.request(method, path.encode(), head, body)
        return answer.status, json.loads(answer.body)

    async def put(self, resource: Given, key: str = "sk_a", **form: str) -> tuple[int, Any]:
        """As access does."""
        lines = resource_lines(SHARED, KEYS[key], resource)
        return await self.ask("PUT", LIST, key, {**WISH, **form}, lines)


@asynccontextmanager
async def opened(store: NodeStore) -> AsyncIterator[Door]:
    node: Any = SimpleNamespace(
        store=store,
        endpoints=Endpoints(),
        refusals=Refusals(SHARED),
        private_addresses=False,
        world=SimpleNamespace(
            merchants=Merchants((), {}, {key_hash(key): who for key, who in KEYS.items()})
        ),
    )
    app: Any = falcon.asgi.App()
    install_errors(app)
    app.add_route(LIST, EndpointList(node))
    app.add_route(f"{LIST}/{{identifier}}", EndpointItem(node))
    app.add_route(f"{LIST}/{{identifier}}/{ACTION}", SecretRoll(node))
    server = HttpServer(app)
    await server.start()
    client = NodeClient(f"http://127.0.0.1:{server.port}")
    try:
        yield Door(client)
    finally:
        client.close()
        await server.stop()


@pytest.fixture
async def door(store: NodeStore) -> AsyncIterator[Door]:
    async with opened(store) as made:
        yield made


def resource(key: str = "sk_a", word: bytes = "k") -> Given:
    return Given(*derive(SHARED, KEYS[key], word), 5_000)


async def test_access_makes_one_and_its_secret_is_shown_once(
    door: Door, sql: asyncpg.Connection
) -> None:
    given = resource()
    status, made = await door.put(given)
    assert (status, made["id"], made["secret"]) == (200, given.id, given.secret)
    assert made["created"] == 5
    status, again = await door.put(given)
    assert status == 200 and "secret" not in again
    assert (await door.put(given, url="https://other.example/"))[0] == 400
    assert await sql.fetchval("SELECT count(*) FROM webhook_endpoint") == 1


async def test_a_version_that_cannot_be_rendered_is_refused_by_name(
    door: Door, sql: asyncpg.Connection
) -> None:
    given = resource()
    for field, value in (("api_version", "2019-12-03"), ("connect", "true")):
        status, body = await door.put(given, **{field: value})
        assert (status, body["error"]["param"]) == (400, field), body
    assert await sql.fetchval("SELECT count(*) FROM webhook_endpoint") == 0
    status, made = await door.put(given, api_version="2026-03-25.dahlia", connect="false")
    assert (status, made["api_version"]) == (200, "2026-03-25.dahlia")
    status, body = await door.put(given, api_version="2026-04-22.dahlia")
    assert (status, body["error"]["type"]) == (400, "idempotency_error")


async def test_nobody_else_chooses_an_id_or_learns_a_secret(
    door: Door, sql: asyncpg.Connection
) -> None:
    """A merchant's own key, at the node's own address: no header, a forged one, another's."""
    given = resource()
    await door.put(given)
    before = await sql.fetch("SELECT * FROM webhook_endpoint")
    text = f"{HEADER}: {msgspec.json.encode(given).decode()}\r\n".encode()
    genuine = resource_lines(SHARED, KEYS["sk_a"], given)
    tries: list[list[bytes]] = [
        [],
        [text],
        [text, f"{SEAL}: {'0' * 64}\r\n".encode()],
        [f"{HEADER}: not json\r\n".encode(), genuine[1]],
        [text.replace(b"5000", b"5001"), genuine[1]],
        resource_lines(b"another secret", KEYS["sk_b"], given),
        genuine,  # of another merchant
    ]
    for lines in tries:
        status, body = await door.ask("PUT", LIST, "sk_b", WISH, lines)
        assert (status, body["error"]["code"]) == (403, "permission_denied"), lines
        assert given.secret not in json.dumps(body)
    assert (await door.ask("PUT", LIST, "sk_a_live", WISH, genuine))[0] == 403, "another mode"
    assert await sql.fetch("SELECT * FROM webhook_endpoint") == before
    for method, form in (("GET", {}), ("POST", {"disabled": "true"}), ("DELETE", {})):
        assert (await door.ask(method, f"{LIST}/{given.id}", "sk_b", form))[0] == 404
    assert await sql.fetch("SELECT * FROM webhook_endpoint") == before


async def test_an_id_that_another_merchant_has_stays_its_own(
    door: Door, sql: asyncpg.Connection
) -> None:
    given = resource()
    await door.put(given)
    before = await sql.fetch("SELECT * FROM webhook_endpoint")
    status, body = await door.put(given, "sk_b", url="https://thief.example/")
    assert (status, body["error"]["code"]) == (404, "resource_missing")
    assert await sql.fetch("SELECT * FROM webhook_endpoint") == before


@pytest.mark.parametrize(
    "text",
    [b"{}", b"[]", b"not json", b'"x"', b'{"id":5,"secret":"s","created_ms":1}',
     b'{"id":"we_1","secret":"s","created_ms":1}', b"\xff",
     msgspec.json.encode(Given(new_id("pi", 0, 5), "whsec_1", 1)),
     msgspec.json.encode(Given(new_id("we", 7, 5), "whsec_1", 1))],
    ids=["empty", "list", "text", "string", "number", "short", "latin-1", "payment", "of a node"],
)  # fmt: skip
def test_nonsense_with_a_genuine_seal(text: bytes) -> None:
    """Malformed, of another kind, or of one node: refused by name, never a defect."""
    proof = sealing._seal(SHARED, KEYS["sk_a"], text)
    with pytest.raises(ValueError):
        read_resource(SHARED, KEYS["sk_a"], text.decode("latin-1"), proof)
    assert read_resource(SHARED, KEYS["sk_b"], text.decode("latin-1"), proof) is None


async def test_a_malformed_header_is_the_asker_s_fault(door: Door, sql: asyncpg.Connection) -> None:
    proof = sealing._seal(SHARED, KEYS["sk_a"], b"not json")
    lines = [f"{HEADER}: not json\r\n{SEAL}: {proof}\r\n".encode()]
    status, body = await door.ask("PUT", LIST, "sk_a", WISH, lines)
    assert (status, body["error"]["param"]) == (400, HEADER)
    assert await sql.fetchval("SELECT count(*) FROM webhook_endpoint") == 0


async def test_a_client_that_talks_to_a_node_is_told_where_to_go(
    door: Door, sql: asyncpg.Connection
) -> None:
    status, body = await door.ask("POST", LIST, "sk_a", WISH)
    assert (status, body["error"]["code"]) == (400, "node_addressed")
    assert await sql.fetchval("SELECT count(*) FROM webhook_endpoint") == 0


async def test_no_more_than_the_most_even_at_once(door: Door, sql: asyncpg.Connection) -> None:
    wanted = [door.put(resource(word=str(n))) for n in range(2 * ENDPOINTS_MAX)]
    statuses = [status for status, _ in await asyncio.gather(*wanted)]
    assert sorted(statuses) == [200] * ENDPOINTS_MAX + [400] * ENDPOINTS_MAX
    assert await sql.fetchval("SELECT count(*) FROM webhook_endpoint") == ENDPOINTS_MAX
    assert (await door.put(resource("sk_b"), "sk_b"))[0] == 200


async def test_a_page_goes_on_from_its_own_entries_only(door: Door) -> None:
    ids = [(await door.put(resource(word=str(n))))[1]["id"] for n in range(3)]
    ids.sort(reverse=True)
    foreign = (await door.put(resource("sk_b"), "sk_b"))[1]["id"]
    live = (await door.put(resource("sk_a_live"), "sk_a_live"))[1]["id"]
    status, page = await door.ask("GET", f"{LIST}?limit=1&starting_after={ids[0]}")
    assert (status, [each["id"] for each in page["data"]]) == (200, ids[1:2])
    assert page["has_more"]
    status, page = await door.ask("GET", f"{LIST}?ending_before={ids[2]}")
    assert [each["id"] for each in page["data"]] == ids[:2]
    for name in ("starting_after", "ending_before"):
        for cursor in (foreign, live, new_id("we", 0, 5), new_id("pi", 1, 5), "x"):
            status, body = await door.ask("GET", f"{LIST}?{name}={cursor}")
            error = body["error"]
            assert (status, error["code"], error["param"]) == (400, "resource_missing", name)
            assert error["message"] == f"No such webhook_endpoint: '{cursor}'"
    query = f"starting_after={ids[0]}&ending_before={ids[2]}"
    assert (await door.ask("GET", f"{LIST}?{query}"))[0] == 400


async def test_empty_metadata_is_dropped_and_changes_at_once_are_all_kept(door: Door) -> None:
    status, made = await door.put(resource(), **{"metadata[a]": "", "metadata[b]": "1"})
    assert (status, made["metadata"]) == (200, {"b": "1"})
    path = f"{LIST}/{made['id']}"
    await asyncio.gather(
        *(door.ask("POST", path, form={f"metadata[k{n}]": str(n)}) for n in range(20))
    )
    _, shown = await door.ask("GET", path)
    assert shown["metadata"] == {"b": "1", **{f"k{n}": str(n) for n in range(20)}}


# --- secrets that are replaced -----------------------------------------------------------------


async def roll(
    door: Door, given: Given, key: str = "sk_a", action: str = ACTION, **form: str
) -> tuple[int, Any]:
    """As access does."""
    lines = resource_lines(SHARED, KEYS[key], given, action)
    return await door.ask("PUT", f"{LIST}/{given.id}/{ACTION}", key, form, lines)


def fresh(identifier: str, secret: str, at: int | None = None) -> Given:
    return Given(identifier, "whsec_" + secret * 48, at or now_ms())


async def test_a_new_secret_is_shown_once_and_the_old_one_overlaps(
    door: Door, store: NodeStore
) -> None:
    _, made = await door.put(resource())
    given = fresh(made["id"], "b")
    status, shown = await roll(door, given, expires_in="3600")
    assert (status, shown["secret"]) == (200, given.secret)
    assert shown["previous_secrets_expire_at"] == [(given.created_ms + 3_600_000) // 1000]
    status, again = await roll(door, fresh(made["id"], "b", given.created_ms + 9), expires_in="5")
    assert status == 200 and "secret" not in again, "the same request"
    assert again["previous_secrets_expire_at"] == shown["previous_secrets_expire_at"]
    _, read = await door.ask("GET", f"{LIST}/{made['id']}")
    assert "secret" not in read and read["previous_secrets_expire_at"]
    found = Endpoints()
    await found.load(store)
    known = found.get(made["id"])
    assert known is not None
    assert known.secrets(now_ms()) == [given.secret, made["secret"]]
    assert known.secrets(given.created_ms + 3_600_000) == [given.secret]
    await roll(door, fresh(made["id"], "c"), expires_in="0")
    status, body = await roll(door, given)
    assert (status, body["error"]["param"]) == (400, "Idempotency-Key"), "an old request"
    await found.load(store)
    known = found.get(made["id"])
    assert known is not None and known.secrets(now_ms()) == ["whsec_" + "c" * 48]
    _, read = await door.ask("GET", f"{LIST}/{made['id']}")
    assert "previous_secrets_expire_at" not in read


async def test_who_may_replace_a_secret_and_how(door: Door, sql: asyncpg.Connection) -> None:
    _, made = await door.put(resource())
    given = fresh(made["id"], "b")
    before = await sql.fetch("SELECT * FROM webhook_endpoint")
    assert (await door.ask("POST", f"{LIST}/{made['id']}/{ACTION}"))[1]["error"]["code"] == (
        "node_addressed"
    )
    assert (await door.ask("PUT", f"{LIST}/{made['id']}/{ACTION}"))[0] == 403
    assert (await roll(door, given, action=""))[0] == 403, "the seal of another request"
    for key in ("sk_b", "sk_a_live"):
        assert (await roll(door, given, key))[0] == 404
    for form, param in (
        ({"expires_in": "604801"}, "expires_in"),
        ({"expires_in": "-1"}, "expires_in"),
        ({"secret": "mine"}, "secret"),
    ):
        status, body = await roll(door, given, **form)
        assert (status, body["error"]["param"]) == (400, param)
    assert await sql.fetch("SELECT * FROM webhook_endpoint") == before
    for letter in "bcd":
        assert (await roll(door, fresh(made["id"], letter)))[0] == 200
    status, body = await roll(door, fresh(made["id"], "e"))
    assert (status, body["error"]["param"]) == (400, "expires_in"), "too many at once"
    assert (await roll(door, fresh(made["id"], "e"), expires_in="0"))[0] == 200


async def test_unknown_events_are_refused_with_the_nearest(door: Door) -> None:
    lines = resource_lines(SHARED, KEYS["sk_a"], resource())
    for name, said in (("charge.suceeded", "charge.succeeded?"), ("charge.*", "charge.captured")):
        form = {**WISH, "enabled_events[0]": name}
        status, body = await door.ask("PUT", LIST, "sk_a", form, lines)
        assert (status, body["error"]["param"]) == (400, "enabled_events[0]")
        assert said in body["error"]["message"]
