"""Refusals in bulk: access asks about many keys at once, and this node decides on each.

See ``access.asking``. What is decided here is what the request itself would meet at this moment:
the same load, the same tombstone, the same token. Only receiving, parsing and placing it is spared.
"""

import asyncio
import hmac

import falcon.asgi
import msgspec

from bailiwick.access.asking import (
    ASKS_MAX,
    BATCH_BYTES_MAX,
    FULL,
    SEAL,
    SEND,
    Ask,
    Asks,
    Telling,
    Told,
    seal,
)
from bailiwick.base.errors import ApiError
from bailiwick.node import metrics
from bailiwick.node.idempotency import Asked, Refused
from bailiwick.node.load import Overloaded
from bailiwick.node.refusals import stored
from bailiwick.node.service import Node
from bailiwick.shell.answers import json_answer
from bailiwick.shell.http import read_body

_asks = msgspec.json.Decoder(Asks)


class Turnstile:
    """/internal/refusals"""

    def __init__(self, node: Node) -> None:
        self._node = node

    async def on_post(self, request: falcon.asgi.Request, response: falcon.asgi.Response) -> None:
        """Decide on a batch. Only an access process may ask."""
        body = await read_body(request, BATCH_BYTES_MAX)
        proof = request.get_header(SEAL) or ""
        expected = seal(self._node.refusals.secret, body)
        if not hmac.compare_digest(proof.encode("latin-1"), expected.encode("ascii")):
            raise ApiError.forbidden("Only access processes may ask for refusals.")
        try:
            asked = _asks.decode(body)
        except msgspec.DecodeError as error:
            raise ApiError.invalid(f"Not a batch of asks: {error}") from None
        if len(asked.asks) > ASKS_MAX:
            raise ApiError.invalid(f"A batch has at most {ASKS_MAX} asks.", param="asks")
        json_answer(response, Telling(await self._tell(asked)))

    async def _tell(self, asked: Asks) -> list[Told]:
        node = self._node
        if asked.epoch != node.world.epoch or node.load.draining:
            return [SEND] * len(asked.asks)  # seldom: each request shows what is to be done
        room = node.load.room()
        told: list[Told] = []
        refusing: list[tuple[int, Asked]] = []
        for ask in asked.asks:
            known = self._asked(ask)
            if room > 0 or known is None or node.payments.keys.under_way(known):
                room -= 1
                told.append(SEND)
                continue
            told.append(FULL)
            if ask.elsewhere:
                refusing.append((len(told) - 1, known))
        if FULL in told:
            node.load.sheds()
        if refusing:
            try:
                with node.load.tombstone(len(refusing)):
                    words = await asyncio.gather(*(self._refuse(each) for _, each in refusing))
            except Overloaded:
                return told
            for (place, _), word in zip(refusing, words, strict=True):
                told[place] = word
        return told

    def _asked(self, ask: Ask) -> Asked | None:
        merchant = self._node.world.merchants.by_id.get(ask.merchant)
        if merchant is None:
            return None
        return Asked(merchant, ask.livemode, ask.key, ask.request_hash, "create", [])

    async def _refuse(self, asked: Asked) -> Told:
        node = self._node
        try:
            await node.payments.refuse(asked, "overloaded")
        except Refused as refused:
            said = stored(refused.reason, node.world.epoch)
            metrics.REFUSED.labels(reason=said.reason).inc()
            return Told("refused", node.refusals.token(node.number, said, asked))
        except ApiError as error:
            return SEND if error.status < 500 else FULL
        return SEND  # the key is known here: the request itself gets its answer
