"""/internal/gateways: what operators ask and order of this node's gateways."""

import asyncio
from typing import Any

import falcon.asgi
import msgspec

from bailiwick.base.clock import now_ms
from bailiwick.base.errors import ApiError
from bailiwick.base.sealing import SEAL, Fresh, answer_seal, require
from bailiwick.interlink.gateway_commands import (
    ASKERS_MAX,
    BYTES_MAX,
    FRESH_MS,
    KIND,
    GatewayQuestion,
    revealed,
)
from bailiwick.node.gateways import rows
from bailiwick.node.gateways.node_key import node_keys
from bailiwick.node.gateways.shown import shown
from bailiwick.node.service import Node
from bailiwick.runtime.settings import SettingsError
from bailiwick.wire.answers import json_answer
from bailiwick.wire.protocol import read_body

CHANGES_MAX = 50
_question = msgspec.json.Decoder(GatewayQuestion)


class GatewayOrders:
    """/internal/gateways"""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._fresh = Fresh(node.number, FRESH_MS, ASKERS_MAX)

    async def on_post(self, request: falcon.asgi.Request, response: falcon.asgi.Response) -> None:
        """Tell, or carry out. Only who knows the shared secret may ask, and each question once."""
        body = await read_body(request, BYTES_MAX)
        secret = self._node.refusals.secret
        proof = require(secret, KIND, request.get_header(SEAL), body, "operators")
        try:
            asked = _question.decode(body)
        except msgspec.DecodeError as error:
            raise ApiError.invalid(f"Not a question about gateways: {error}") from None
        self._fresh.take(asked, now_ms())
        json_answer(response, await self._told(asked))
        response.set_header(SEAL, answer_seal(secret, KIND, proof, bytes(response.data or b"")))

    async def _told(self, asked: GatewayQuestion) -> dict[str, Any]:
        if asked.verb == "list":
            return await self._all()
        if asked.verb == "show":
            return await self._one(asked.gateway)
        if not asked.by.strip():
            raise ApiError.invalid("Say who gives the order.", param="by")
        if asked.verb == "rotate_key":
            return await self._rotated(asked.by)
        await self._carried_out(asked)
        return await self._one(asked.gateway)

    async def _carried_out(self, asked: GatewayQuestion) -> None:
        live, name, version, by = self._node.live, asked.gateway, asked.version, asked.by
        values = revealed(self._node.refusals.secret, asked) if asked.secrets else {}
        if values and asked.verb not in ("add", "credentials"):
            raise ApiError.invalid("Secrets are given with add and credentials.", param="secrets")
        if asked.verb == "add":
            await live.add(name, asked.settings, values, by, asked.unchecked)
        elif asked.verb == "change":
            await live.change(name, version, asked.settings, asked.unset, by, asked.unchecked)
        elif asked.verb == "credentials":
            if not values:
                raise ApiError.invalid("Give a secret.", param="secrets")
            if not asked.same_account:
                raise ApiError.invalid(
                    "Make sure that these are credentials of the same account as before, and say "
                    "so with --same-account: another one knows nothing of what is open, and it "
                    "would be charged again. For another account add another gateway.",
                    param="same_account",
                )
            await live.credentials(name, version, values, by, asked.unchecked)
        else:
            await live.state(name, version, asked.verb, by)

    async def _rotated(self, by: str) -> dict[str, Any]:
        settings, folder = self._node.settings, self._node.folder
        try:
            read = await asyncio.to_thread(
                node_keys, settings.credentials_key, settings.credentials_keys_earlier, folder
            )
        except SettingsError as error:
            raise ApiError.invalid("\n".join(error.problems)) from None
        wrapped = await self._node.live.rotate(read.over(self._node.live.keys), by)
        return {**await self._all(), "wrapped": wrapped}

    async def _all(self) -> dict[str, Any]:
        counts = await rows.open_attempts(self._node.store)
        key = self._node.live.keys.current
        return {
            "object": "gateways",
            "node": self._node.name,
            "node_key": None if key is None else key.id,
            "gateways": [self._shown(name, counts) for name in self._node.live.names()],
        }

    async def _one(self, name: str) -> dict[str, Any]:
        self._node.live.row(name)
        counts = await rows.open_attempts(self._node.store)
        changes = await rows.changes(self._node.store, name, CHANGES_MAX)
        return {**self._shown(name, counts), "changes": msgspec.to_builtins(changes)}

    def _shown(self, name: str, counts: dict[str, int]) -> dict[str, Any]:
        gateway = self._node.gateways.get(name)
        assert gateway is not None, "it is among the names"
        made, row = self._node.live.made(name), self._node.live.row(name)
        return shown(gateway, row, made, counts.get(name, 0))
