"""Refusals in bulk: access asks about many keys at once, and this node decides on each.

See ``interlink.admission_query``. What is decided here is what the request itself would meet at
this moment: the same load, the same tombstone. Only receiving, parsing and placing it is spared;
and an earlier home is not shown it.
"""

from collections.abc import Callable

import falcon.asgi
import msgspec

from bailiwick.admission.load import Overloaded
from bailiwick.base.clock import now_ms
from bailiwick.base.errors import ApiError
from bailiwick.base.sealing import SEAL, Fresh, answer_seal, require
from bailiwick.idempotency.requests import Refused
from bailiwick.idempotency.tombstones import Fate
from bailiwick.interlink.admission_query import (
    ASKERS_MAX,
    ASKS_MAX,
    BATCH_BYTES_MAX,
    FRESH_MS,
    FULL,
    KIND,
    KNOWN,
    MISMATCH,
    SEND,
    AdmissionQueries,
    AdmissionQuery,
    AdmissionVerdict,
    AdmissionVerdicts,
)
from bailiwick.interlink.refusals import on_behalf, stored
from bailiwick.node.service import Node
from bailiwick.serving.route import REFUSED
from bailiwick.wire.answers import json_answer
from bailiwick.wire.protocol import read_body

_asks = msgspec.json.Decoder(AdmissionQueries)


class BulkAdmission:
    """/internal/refusals"""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._fresh = Fresh(node.number, FRESH_MS, ASKERS_MAX)

    async def on_post(self, request: falcon.asgi.Request, response: falcon.asgi.Response) -> None:
        """Decide on a batch. Only an access process may ask, and each batch once."""
        body = await read_body(request, BATCH_BYTES_MAX)
        secret = self._node.refusals.secret
        proof = require(secret, KIND, request.get_header(SEAL), body, "access processes")
        try:
            asked = _asks.decode(body)
        except msgspec.DecodeError as error:
            raise ApiError.invalid(f"Not a batch of asks: {error}") from None
        if len(asked.asks) > ASKS_MAX:
            raise ApiError.invalid(f"A batch has at most {ASKS_MAX} asks.", param="asks")
        self._fresh.take(asked, now_ms())
        json_answer(response, AdmissionVerdicts(await self._tell(asked)))
        response.set_header(SEAL, answer_seal(secret, KIND, proof, bytes(response.data or b"")))

    async def _tell(self, asked: AdmissionQueries) -> list[AdmissionVerdict]:
        told: list[AdmissionVerdict] = []
        refusing: dict[str, list[int]] = {}
        # Access sends by itself what it sees room for: promised to both, it would be too little.
        room = self._node.load.spare() // 2
        of_earlier = self._of_earlier(asked.epoch)
        of_load = self._of_load(asked.epoch)
        for place, ask in enumerate(asked.asks):
            if ask.earlier:
                word = of_earlier(ask)
            elif room > 0:
                room -= 1
                word = SEND
            else:
                word = of_load(ask)
            if isinstance(word, str):
                refusing.setdefault(word, []).append(place)
                word = FULL
            told.append(word)
        for reason, places in refusing.items():
            words = await self._refused(reason, [asked.asks[place] for place in places])
            for place, word in zip(places, words, strict=True):
                told[place] = word
        return told

    def _of_load(self, epoch: int) -> Callable[[AdmissionQuery], AdmissionVerdict | str]:
        """Of a key where there is no room: the word, or a reason to refuse it."""
        node = self._node
        # Seldom: then each request shows what is to be done.
        closer = epoch != node.world.epoch or node.load.draining
        merchants, under_way = node.world.merchants.by_id, node.machine.keys.under_way

        def word(ask: AdmissionQuery) -> AdmissionVerdict | str:
            if closer or ask.merchant not in merchants or under_way(ask.identity) is not None:
                return SEND
            node.load.sheds()
            return "overloaded" if ask.elsewhere else FULL

        return word

    def _of_earlier(self, epoch: int) -> Callable[[AdmissionQuery], AdmissionVerdict | str]:
        """Of a key that a later epoch's home wants to take: the word, or a reason to refuse it."""
        ours = self._node.world.epoch
        reason = on_behalf(epoch, ours)
        merchants, under_way = self._node.world.merchants.by_id, self._node.machine.keys.under_way

        def word(ask: AdmissionQuery) -> AdmissionVerdict | str:
            if ask.merchant not in merchants:
                return FULL
            if reason is None:
                return AdmissionVerdict("behind", epoch=ours)
            running = under_way(ask.identity)
            if running is not None:
                return KNOWN if running == ask.request_hash else MISMATCH
            return reason

        return word

    async def _refused(self, reason: str, asks: list[AdmissionQuery]) -> list[AdmissionVerdict]:
        """Refuse these keys, and the word on each."""
        node = self._node
        try:
            with node.load.tombstone(len(asks)):
                fates = await node.machine.tombstones.refuse_all(asks, reason)
        except Overloaded:
            return [FULL] * len(asks)
        words = {fate: _word(fate, node.world.epoch) for fate in set(fates)}
        count = sum(isinstance(fate, Refused) for fate in fates)
        REFUSED.labels(reason=stored(reason, 0).reason).inc(count)
        return [
            SEND if not ask.earlier and fate in ("known", "mismatch") else words[fate]
            for ask, fate in zip(asks, fates, strict=True)
        ]


def _word(fate: Fate, epoch: int) -> AdmissionVerdict:
    if isinstance(fate, Refused):
        said = stored(fate.reason, epoch)
        return AdmissionVerdict("refused", said.reason, said.epoch)
    return {"known": KNOWN, "mismatch": MISMATCH, "unwritten": FULL}[fate]
