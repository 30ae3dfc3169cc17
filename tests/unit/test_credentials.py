"""Access and node read one request alike: who asks, and under which idempotency key."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import falcon.asgi
import pytest
from access_kit import PUBLISHABLE, SECRET, Access, access

from bailiwick.access.fanout.everywhere import derive
from bailiwick.access.nodes.forward import Answer, NodeClient
from bailiwick.base.errors import ApiError
from bailiwick.base.ids import new_id
from bailiwick.base.keys import check_key, key_identity
from bailiwick.node.service import Node
from bailiwick.serving import route
from bailiwick.topology.merchants import Merchant, Merchants, Principal
from bailiwick.wire.answers import install_errors, json_answer
from bailiwick.wire.server import HttpServer

TARGET = f"/v1/payment_intents/{new_id('pi', 1, 5)}/confirm".encode()
SK = b"sk_test_abcdefghijklmnop"


class Door:
    """What a node reads of a request before it does anything."""

    def __init__(self, merchants: Merchants) -> None:
        world = SimpleNamespace(merchants=merchants)
        self._node = cast(Node, SimpleNamespace(world=world))

    async def on_post(
        self, request: falcon.asgi.Request, response: falcon.asgi.Response, **_: str
    ) -> None:
        who = route.principal(request, self._node, public=True)
        asked = route.asked(request, who, "confirm", "pi_1", {}, [])
        json_answer(response, {"kind": who.kind, "identity": asked.identity})


class Both:
    """One request, sent to access and to a node."""

    def __init__(self, it: Access, node: HttpServer) -> None:
        self.it = it
        self._clients = [
            NodeClient(f"http://127.0.0.1:{server.port}") for server in (it.server, node)
        ]

    async def told(self, *lines: bytes) -> tuple[Answer, Answer]:
        """What access and node answer; access's stub node takes everything."""
        raw = [line + b"\r\n" for line in lines]
        one, two = [await client.request("POST", TARGET, raw) for client in self._clients]
        return one, two

    def close(self) -> None:
        for client in self._clients:
            client.close()


@asynccontextmanager
async def both(path: Path) -> AsyncIterator[Both]:
    async with access(path) as it:
        app: Any = falcon.asgi.App()
        install_errors(app)
        app.add_route(TARGET.decode(), Door(it.front.world.merchants))
        node = HttpServer(app, grace_s=1)
        await node.start()
        made = Both(it, node)
        try:
            yield made
        finally:
            made.close()
            await node.stop()


def error(answer: Answer) -> Any:
    return json.loads(answer.body)["error"]


@pytest.mark.parametrize(
    ("header", "status"),
    [
        (b"Bearer " + SK, 200),
        (b"bearer " + SK, 200),
        (b"BEARER   " + SK + b"  ", 200),
        (b"Bearer\t" + SK, 401),
        (b"Bearer " + SK + b":", 401),
        (b"Bearer " + SK + b"\xa0", 401),
        (b"Bearer", 401),
        (b"Bearer ", 401),
        (b"Bearer \xe9", 401),
        (b"Basic c2tfdGVzdF9hYmNkZWZnaGlqa2xtbm9wOg==", 200),
        (b"basic  c2tfdGVzdF9hYmNkZWZnaGlqa2xtbm9wOg== ", 200),
        (b"Basic c2tfdGVzdF9hYmNkZWZnaGlqa2xtbm9w", 200),  # no colon
        (b"Basic c2tfdGVzdF9hYmNkZWZnaGlqa2xtbm9wOnBhc3M=", 200),  # a password, not looked at
        (b"Basic c2tfdGVzdF9hYmNkZWZnaGlqa2xtbm9wOg", 401),  # padding is missing
        (b"Basic c2tfdGVzdF9h YmNkZWZnaGlqa2xtbm9wOg==", 401),
        (b"Basic c2tfdGVzdF9hYmNkZWZnaGlqa2xtbm9wOg==x", 401),
        (b"Basic \xe9", 401),
        (b"Basic !!", 401),
        (b"Basic /w==", 401),
        (b"Basic", 401),
        (b"Digest " + SK, 401),
        (SK, 401),
        (b"", 401),
    ],
)
async def test_what_authenticates(tmp_path: Path, header: bytes, status: int) -> None:
    async with both(tmp_path) as it:
        at_access, at_node = await it.told(b"authorization: " + header)
        assert (at_access.status, at_node.status) == (status, status)
        if status != 200:
            assert error(at_access) == error(at_node)
            for answer in (at_access, at_node):
                assert answer.headers[b"www-authenticate"].startswith(b"Bearer")


@pytest.mark.parametrize(
    ("key", "status"),
    [
        (b"k", 200),
        (b"k" * 255, 200),
        (b"k" * 256, 400),
        (b"order 17", 200),
        ("ключ".encode(), 200),
        ("à".encode(), 200),  # its second byte is a blank in latin-1
        (("é" * 255).encode(), 200),
        (("é" * 256).encode(), 400),
        (("😀" * 255).encode(), 200),
        (("😀" * 256).encode(), 400),
        (b"\xe9" * 255, 200),  # latin-1
        (b"\xe9" * 256, 400),
        (b"a\xffb", 200),
        (b"a\x85b", 400),
        (b"a\tb", 400),
        ("a\u200bb".encode(), 400),
        ("\u3000".encode(), 400),
        (b"\xa0", 400),
        (b"", 400),
        (b"   ", 400),
    ],
)
async def test_what_is_an_idempotency_key(tmp_path: Path, key: bytes, status: int) -> None:
    async with both(tmp_path) as it:
        at_access, at_node = await it.told(
            b"authorization: Bearer " + SK, b"idempotency-key: " + key
        )
        assert (at_access.status, at_node.status) == (status, status)
        if status != 200:
            assert error(at_access) == error(at_node)
            assert error(at_access)["param"] == "Idempotency-Key"
        else:
            sent = it.it.nodes[0].calls[-1].headers["idempotency-key"]
            assert sent.encode("latin-1") == key, "the node is sent the same bytes"
            identity = json.loads(at_node.body)["identity"]
            assert identity == key_identity("acct_demo", False, key.decode("latin-1"))


@pytest.mark.parametrize("key", ["", " ", "   ", "\x00", "a\nb", "\x7f"])
def test_what_never_is(key: str) -> None:
    with pytest.raises(ApiError) as refused:
        check_key(key)
    assert (refused.value.status, refused.value.code) == (400, "idempotency_key_invalid")


def test_keys_are_what_they_were() -> None:
    """Stored keys are found again: these are of the first release."""
    assert key_identity("acct_1", True, "order-1001") == "2a4ebf8036430b991558eb9e422af558"
    principal = Principal(Merchant("acct_1", "One"), "secret", False)
    assert derive(b"s", principal, "k") == (
        "we_ght8sgzv2c000fz2rexb3dp80q",
        "whsec_d8d071b551bee2c6276aa7a940ee360b53d06aa1b7d5ee5c",
    )


async def test_a_payer_cannot_use_up_the_servers_keys(tmp_path: Path) -> None:
    async with both(tmp_path) as it:
        identities = set()
        for key in (SECRET, PUBLISHABLE):
            _, answer = await it.told(
                f"authorization: Bearer {key}".encode(), b"idempotency-key: order-1001"
            )
            assert answer.status == 200
            identities.add(json.loads(answer.body)["identity"])
        assert key_identity("acct_demo", False, "order-1001") in identities
        assert len(identities) == 2
