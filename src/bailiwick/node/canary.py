"""The canary payment: a node proves, before it takes any place, that it can take and give back.

One small payment in the test mode of one of the world's merchants goes the whole way: script,
database, a gateway in test mode, outcome; then it is refunded. Routing never mixes the modes, so
no real money can move. It needs no jurisdiction: nobody sends it here but an operator.
"""

import time
from typing import Any

import falcon.asgi
import msgspec

from bailiwick.base.canary import BYTES_MAX, FRESH_MS, KIND, CanaryAsk, CanaryTold
from bailiwick.base.clock import now_ms
from bailiwick.base.errors import ApiError
from bailiwick.base.keys import request_hash
from bailiwick.base.sealing import SEAL, answer_seal, require
from bailiwick.idempotency.requests import Answer, IdempotentRequest, Refused
from bailiwick.jurisdiction.assign import Assignment, Considered
from bailiwick.jurisdiction.locate import Location
from bailiwick.node.service import Node
from bailiwick.resources.payments.create import PaymentCreation
from bailiwick.resources.payments.params import CreatePayment
from bailiwick.resources.refunds.commands import Refunds
from bailiwick.resources.refunds.params import CreateRefund
from bailiwick.routing.gateway import Gateway
from bailiwick.topology.merchants import Merchant
from bailiwick.wire.answers import json_answer
from bailiwick.wire.protocol import read_body

AMOUNT = 1_000
METHOD = "pm_card_visa"
NONCES_MAX = 1_024
_NONCE_CHARS = range(16, 65)

_asks = msgspec.json.Decoder(CanaryAsk)


class Canary:
    """/internal/canary"""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._seen: dict[str, int] = {}

    async def on_post(self, request: falcon.asgi.Request, response: falcon.asgi.Response) -> None:
        """Make the payment and say what happened. Only who knows the shared secret may ask."""
        body = await read_body(request, BYTES_MAX)
        secret = self._node.refusals.secret
        proof = require(secret, KIND, request.get_header(SEAL), body, "operators")
        try:
            ask = _asks.decode(body)
        except msgspec.DecodeError as error:
            raise ApiError.invalid(f"Not a question for a canary: {error}") from None
        self._check(ask)
        json_answer(response, await self._pay(ask))
        response.set_header(SEAL, answer_seal(secret, KIND, proof, bytes(response.data or b"")))

    def _check(self, ask: CanaryAsk) -> None:
        """Refuse what is for another node, old, or asked again. Raises ApiError."""
        now = now_ms()
        if ask.node != self._node.number:
            raise ApiError.invalid(f"This is node {self._node.number}.", param="node")
        if abs(now - ask.issued_ms) > FRESH_MS:
            raise ApiError.invalid(
                "The question is too old, or a clock is wrong.", param="issued_ms"
            )
        if len(ask.nonce) not in _NONCE_CHARS:
            raise ApiError.invalid("A nonce has 16 to 64 characters.", param="nonce")
        # A question from a clock that is ahead stays fresh for twice as long.
        self._seen = {nonce: at for nonce, at in self._seen.items() if now - at < 2 * FRESH_MS}
        if ask.nonce in self._seen:
            raise ApiError.invalid("This question was asked before.", param="nonce")
        if len(self._seen) >= NONCES_MAX:
            raise ApiError.unavailable("Too many canaries; wait a minute.")
        self._seen[ask.nonce] = now

    async def _pay(self, ask: CanaryAsk) -> CanaryTold:
        node = self._node
        begun = time.monotonic()
        told = CanaryTold(False, node.number, node.world.epoch)
        try:
            return await self._whole_way(ask, told, begun)
        except Refused as refused:
            return _replace(told, detail=f"it was refused: {refused.reason}")
        except ApiError as error:
            return _replace(told, detail=error.message)

    async def _whole_way(self, ask: CanaryAsk, told: CanaryTold, begun: float) -> CanaryTold:
        gateway = self._gateway()
        merchant = self._merchant(ask.merchant)
        paid = _document(await self._create(ask, merchant, gateway))
        intent = paid.get("error", {}).get("payment_intent") or paid
        used = (intent.get("routing") or {}).get("gateway") or gateway.name
        told = _replace(
            told, payment=intent.get("id", ""), gateway=used, status=intent.get("status", "")
        )
        if told.status != "succeeded":
            said = paid.get("error", {}).get("message", "the provider has not decided yet")
            return _replace(told, detail=f"the payment is {told.status or 'refused'}: {said}")
        refund = _document(await self._refund(ask, merchant, told.payment))
        status = refund.get("status", "")
        told = _replace(told, refund=status, milliseconds=round((time.monotonic() - begun) * 1000))
        if status != "succeeded":
            said = refund.get("error", {}).get("message", "the provider has not decided yet")
            return _replace(told, detail=f"the refund is {status or 'refused'}: {said}")
        return _replace(told, ok=True)

    def _gateway(self) -> Gateway:
        """An open gateway in test mode. Raises ApiError."""
        testing = [each for each in self._node.gateways.all() if each.settings.mode == "test"]
        for gateway in testing:
            if gateway.usage == "open":
                return gateway
        why = f"its gateway in test mode is {testing[0].usage}" if testing else "it has none"
        raise ApiError.unavailable(f"No gateway in test mode is open here: {why}.")

    def _merchant(self, identifier: str) -> Merchant:
        merchants = self._node.world.merchants
        found = merchants.by_id.get(identifier) if identifier else merchants.all[0]
        if found is None:
            raise ApiError.missing("merchant", identifier, param="merchant")
        return found

    async def _create(self, ask: CanaryAsk, merchant: Merchant, gateway: Gateway) -> Answer:
        node, settings = self._node, gateway.settings
        country = (settings.countries or _countries(node) or ["DE"])[0]
        fields = {
            "amount": AMOUNT,
            "currency": (settings.currencies or ["EUR"])[0],
            "confirm": True,
            "payment_method": METHOD,
            "description": "canary of the node's operator",
        }
        asked = _asked(ask, merchant, "create", fields)
        location = Location(country, None, None, "explicit", "high", {"country": country})
        here = Considered(node.number, node.settings.name, "chosen", "a canary payment")
        assignment = Assignment(
            node.world.epoch, node.number, node.number, "canary", "free", (here,)
        )
        wish = msgspec.convert(fields, CreatePayment)
        creation = PaymentCreation(node.machine)
        return await node.machine.keys.once(
            asked, lambda: creation.create(asked, wish, location, assignment)
        )

    async def _refund(self, ask: CanaryAsk, merchant: Merchant, payment: str) -> Answer:
        wish = CreateRefund(payment_intent=payment)
        asked = _asked(ask, merchant, "refund", {"payment_intent": payment})
        machine = self._node.machine
        return await machine.keys.once(asked, lambda: Refunds(machine).create(asked, wish))


def _asked(
    ask: CanaryAsk, merchant: Merchant, operation: str, fields: dict[str, Any]
) -> IdempotentRequest:
    key = f"canary-{ask.node}-{ask.nonce}-{operation}"
    return IdempotentRequest(
        merchant, False, key, request_hash(operation, "", fields), operation, []
    )


def _document(answer: Answer) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(bytes(answer.body))
    return found


def _countries(node: Node) -> list[str]:
    """Countries of the places that this node may take."""
    topology = node.world.topology
    for rule in topology.rules:
        if not any(each.number == node.number for each in rule.nodes):
            continue
        for place in rule.places:
            kind, _, name = place.partition(":")
            if kind == "group":
                return sorted(code[:2] for code in topology.groups[name])
            if len(kind) == 2:
                return [kind]
    return []


_replace = msgspec.structs.replace
