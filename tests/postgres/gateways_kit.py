"""A whole node that an operator gives orders: real settings file, database, HTTP and sandbox."""

import base64
import contextlib
import json
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import msgspec

from bailiwick import resources
from bailiwick.access.nodes.forward import HopLimits, NodeClient
from bailiwick.base import sealing
from bailiwick.base.clock import now_ms
from bailiwick.interlink import gateway_commands
from bailiwick.interlink.gateway_commands import GatewayQuestion, hidden
from bailiwick.interlink.resource import larger_bodies
from bailiwick.node.app import build
from bailiwick.node.config import load
from bailiwick.node.service import Node
from bailiwick.wire.limits import Limits
from bailiwick.wire.server import HttpServer
from tests.postgres.test_access_tokens import CALLBACKS, KEYS, SECOND, Sandbox
from tests.unit.access_kit import SECRET, write_world
from tests.waiting import until

INTERNAL = "the-secret-of-operators"
THIRD = "donau-bank"
"""Another entry for the account of the second provider."""
VALUES = {"api_key": KEYS[SECOND], "callback_secret": CALLBACKS[SECOND]}
LIMITS = Limits(larger=larger_bodies(resources.every()))
Answer = dict[str, Any]


def new_key() -> str:
    """A node key as files have it."""
    return base64.b64encode(secrets.token_bytes(32)).decode("ascii")


class Site:
    """One node, its operator and its clients; ``start`` begins it again on its database.

    Attributes:
        more: lines of the settings file before the gateways.
    """

    def __init__(self, folder: Path, dsn: str, sandbox: Sandbox) -> None:
        self.folder = folder
        self.dsn = dsn
        self.sandbox = sandbox
        self.key = folder / "node.key"
        self.key.write_text(new_key())
        self.more = ['credentials_key = "file:node.key"']
        (folder / "internal").write_text(INTERNAL)
        (folder / "world").mkdir()
        write_world(folder / "world", {"europe": (1, "http://127.0.0.1:1")})
        self.count = 0
        self.node: Node
        self.client: NodeClient
        self._server: HttpServer

    def settings(self) -> Path:
        """The settings file, written."""
        path = self.folder / "node.toml"
        gateway = [
            "[[gateways]]", f'name = "{SECOND}"', 'channel = "sandbox"',
            'kind = "large_domestic_bank"', f'base_url = "{self.sandbox.url}/{SECOND}"',
            "priority = 5", f'vault = "{SECOND}"', "[gateways.secrets]",
            *(f'{name} = "plain:{value}"' for name, value in VALUES.items()),
        ]  # fmt: skip
        lines = [
            "number = 1", 'name = "europe"', 'listen = "127.0.0.1:1"', f'dsn = "{self.dsn}"',
            'world = "world"', 'internal_secret_file = "internal"', "resolve_every_ms = 50",
            *self.more, *gateway,
        ]  # fmt: skip
        path.write_text("\n".join(lines) + "\n")
        return path

    async def start(self) -> None:
        self.node = Node(load(self.settings()))
        await self.node.start()
        self._server = HttpServer(build(self.node), LIMITS, grace_s=1)
        await self._server.start()
        self.client = NodeClient(f"http://127.0.0.1:{self._server.port}", HopLimits())

    async def stop(self) -> None:
        self.client.close()
        self.node.streams.close()
        await self._server.stop()
        await self.node.stop()

    # --- the operator

    async def asked(
        self, verb: Any, gateway: str = "", *, secret: str = INTERNAL, **order: Any
    ) -> tuple[int, Answer]:
        """A question as it is, and its answer."""
        self.count += 1
        values = order.pop("values", {})
        order.setdefault("by", "olga")
        asked = GatewayQuestion(
            node=1, at_ms=now_ms(), asker="a" * 16, count=self.count, verb=verb, gateway=gateway,
            **order,
        )  # fmt: skip
        if values:
            carried = hidden(secret.encode(), asked, gateway, values)
            asked = msgspec.structs.replace(asked, secrets=carried)
        body = msgspec.json.encode(asked)
        proof = sealing.seal(secret.encode(), gateway_commands.KIND, body)
        lines = [f"{sealing.SEAL}: {proof}\r\n".encode()]
        answer = await self.client.request(
            "POST", gateway_commands.PATH.encode(), lines, body, timeout=60
        )
        return answer.status, json.loads(answer.body)

    async def order(self, verb: Any, gateway: str, **order: Any) -> Answer:
        """An order on what is there, that must be carried out; the gateway afterwards."""
        if verb not in ("add", "show"):
            order.setdefault("version", (await self.show(gateway))["version"])
        status, found = await self.asked(verb, gateway, **order)
        assert status == 200, found
        return found

    async def show(self, gateway: str) -> Answer:
        status, found = await self.asked("show", gateway)
        assert status == 200, found
        return found

    async def refused(self, verb: Any, gateway: str, **order: Any) -> str:
        """An order that must be refused; the reason."""
        if verb != "add":
            order.setdefault("version", (await self.show(gateway))["version"])
        status, found = await self.asked(verb, gateway, **order)
        assert status in (400, 404, 409), found
        return str(found["error"]["message"])

    def third(self, **values: Any) -> dict[str, Any]:
        """Settings of a gateway to be added."""
        return {
            "channel": "sandbox", "kind": "foreign_bank", "vault": SECOND,
            "base_url": f"{self.sandbox.url}/{SECOND}", "priority": 1, **values,
        }  # fmt: skip

    # --- clients

    async def post(self, path: str, key: str, **form: Any) -> Answer:
        """A client's request to the node, with a key; its object."""
        lines = [
            f"authorization: Bearer {SECRET}\r\n".encode(),
            b"content-type: application/x-www-form-urlencoded\r\n",
            f"idempotency-key: {key}\r\n".encode(),
        ]
        answer = await self.client.request("POST", path.encode(), lines, urlencode(form).encode())
        found: Answer = json.loads(answer.body)
        return found

    async def pay(self, key: str, **form: Any) -> Answer:
        return await self.post(
            "/v1/payment_intents", key,
            **{"amount": "1000", "currency": "eur", "confirm": "true",
               "payment_method": "pm_card_visa", "location[country]": "DE", **form},
        )  # fmt: skip

    async def succeeded(self, key: str, **form: Any) -> Answer:
        """The payment once it has ended well."""

        found: Answer = {}

        async def done() -> bool:
            nonlocal found
            found = await self.pay(key, **form)
            return found.get("status") in ("succeeded", "requires_capture")

        await until(done)
        return found


def gateway_of(paid: Answer) -> str:
    """Where a payment was taken."""
    return str(paid["routing"]["gateway"])


@contextlib.asynccontextmanager
async def started(folder: Path, dsn: str, sandbox: Sandbox) -> AsyncIterator[Site]:
    """A node, ended at the end."""
    site = Site(folder, dsn, sandbox)
    await site.start()
    try:
        yield site
    finally:
        await site.stop()
