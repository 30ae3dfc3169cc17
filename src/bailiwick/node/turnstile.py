"""Refusals in bulk: access asks about many keys at once, and this node decides on each.

See ``access.asking``. What is decided here is what the request itself would meet at this moment:
the same load, the same tombstone, the same token. Only receiving, parsing and placing it is spared;
and an earlier home is not shown it.
"""

import hmac
from collections import Counter

import falcon.asgi
import msgspec

from bailiwick.access.asking import (
    ASKS_MAX,
    BATCH_BYTES_MAX,
    FULL,
    KNOWN,
    MISMATCH,
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
from bailiwick.node.acting import Fate
from bailiwick.node.idempotency import Asked, Refused
from bailiwick.node.load import Overloaded
from bailiwick.node.refusals import on_behalf, stored
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
        told: list[Told] = []
        refusing: list[tuple[int, Asked, str]] = []
        # Access sends by itself what it sees room for: promised to both, it would be too little.
        room = node.load.room() // 2
        # Seldom: then each request shows what is to be done.
        closer = asked.epoch != node.world.epoch or node.load.draining
        for place, ask in enumerate(asked.asks):
            known = self._asked(ask)
            if ask.earlier:
                word, reason = self._of_earlier(ask, known, asked.epoch)
            elif closer or known is None or room > 0 or node.payments.keys.under_way(known):
                room -= 1
                word, reason = SEND, None
            else:
                node.load.sheds()
                word, reason = FULL, "overloaded" if ask.elsewhere else None
            told.append(word)
            if reason is not None and known is not None:
                refusing.append((place, known, reason))
        if not refusing:
            return told
        try:
            with node.load.tombstone(len(refusing)):
                wishes = [(known, reason) for _, known, reason in refusing]
                fates = await node.payments.refuse_all(wishes)
        except Overloaded:
            return told
        for (place, known, _), fate in zip(refusing, fates, strict=True):
            word = self._word(known, fate)
            told[place] = word if asked.asks[place].earlier else _of_load(word)
        for reason, count in Counter(
            each.reason for each in fates if isinstance(each, Refused)
        ).items():
            metrics.REFUSED.labels(reason=stored(reason, 0).reason).inc(count)
        return told

    def _of_earlier(self, ask: Ask, known: Asked | None, epoch: int) -> tuple[Told, str | None]:
        """Of a key that a later epoch's home wants to take: the word, and a reason to refuse it."""
        ours = self._node.world.epoch
        if known is None:
            return FULL, None
        reason = on_behalf(epoch, ours)
        if reason is None:
            return Told("behind", epoch=ours), None
        under_way = self._node.payments.keys.under_way(known)
        if under_way is not None:
            return (KNOWN if under_way == ask.request_hash else MISMATCH), None
        return FULL, reason

    def _asked(self, ask: Ask) -> Asked | None:
        merchant = self._node.world.merchants.by_id.get(ask.merchant)
        if merchant is None:
            return None
        return Asked(merchant, ask.livemode, ask.key, ask.request_hash, "create", [])

    def _word(self, asked: Asked, fate: Fate) -> Told:
        node = self._node
        if isinstance(fate, Refused):
            said = stored(fate.reason, node.world.epoch)
            return Told("refused", node.refusals.token(node.number, said, asked))
        if isinstance(fate, ApiError):
            return MISMATCH if fate.status < 500 else FULL
        return KNOWN


def _of_load(word: Told) -> Told:
    """Asked for room: a key that is known here gets its answer when the request itself comes."""
    return SEND if word.word in ("known", "mismatch") else word
