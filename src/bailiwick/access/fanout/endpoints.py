"""Webhook endpoints: each lives on every node, as events are sent from where they happen.

Id and secret are derived from the merchant and the Idempotency-Key, so that a retry after a
partial failure brings all nodes to the same endpoint. Nodes take them from access alone, which
proves itself (``resource``).
"""

import asyncio
import hashlib
import hmac
import os

import falcon.asgi

from bailiwick.access.front import Front
from bailiwick.access.inbound import Inbound
from bailiwick.access.nodes.forward import Answer, HopError
from bailiwick.access.nodes.hop import give, send, unreachable
from bailiwick.base.clock import now_ms
from bailiwick.base.errors import ApiError
from bailiwick.base.ids import new_id
from bailiwick.interlink.sealed_resource import Resource, resource_lines
from bailiwick.topology.merchants import Principal
from bailiwick.topology.topology import Node

_PATH = b"/v1/webhook_endpoints"
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


def _base32(value: int, chars: int) -> str:
    return "".join(_ALPHABET[value >> 5 * place & 31] for place in reversed(range(chars)))


def derive(secret: bytes, principal: Principal, key: str | None) -> tuple[str, str]:
    """Id and signing secret of a new endpoint; random without an Idempotency-Key.

    A derived id cannot tell its time: its leading bits come from the key like the rest.
    """
    if key is None:
        return new_id("we", 0, now_ms()), "whsec_" + os.urandom(24).hex()
    scope = f"{principal.merchant.id}|{'live' if principal.livemode else 'test'}|".encode()
    named = scope + key.encode("latin-1")
    name = hmac.new(secret, b"endpoint id|" + named, hashlib.sha256).digest()
    value = int.from_bytes(name[:17], "big") & ((1 << 130) - 1)
    # Bits 66 to 81 are the node number; endpoints belong to none.
    value &= ~(0xFFFF << 66)
    signing = hmac.new(secret, b"endpoint secret|" + named, hashlib.sha256).hexdigest()
    return "we_" + _base32(value, 26), "whsec_" + signing[:48]


async def _to_all(
    front: Front,
    inbound: Inbound,
    method: str,
    target: bytes,
    body: bytes,
    extra: list[bytes] | None = None,
) -> list[tuple[Node, Answer]]:
    """Send to every node; all must answer below 500. Raises ApiError (503)."""
    nodes = front.world.topology.nodes
    lines = [front.epoch_line, *(extra or ())]
    results = await asyncio.gather(
        *(send(front, node, inbound, method, target, body, lines) for node in nodes),
        return_exceptions=True,
    )
    answers: list[tuple[Node, Answer]] = []
    for node, result in zip(nodes, results, strict=True):
        if isinstance(result, HopError):
            raise unreachable(node, result, method, inbound.idempotency_key is not None)
        if isinstance(result, BaseException):
            raise result
        if result.status >= 500:
            raise ApiError.unavailable(
                f"Node {node.name} answered {result.status}. Retry with the same "
                "Idempotency-Key until every node has the endpoint as you want it.",
                code="node_unavailable",
            )
        answers.append((node, result))
    return answers


async def create(
    front: Front, inbound: Inbound, response: falcon.asgi.Response, body: bytes
) -> None:
    """POST: the same endpoint on every node."""
    identifier, signing = derive(front.internal_secret, inbound.principal, inbound.idempotency_key)
    resource = Resource(identifier, signing, now_ms())
    extra = resource_lines(front.internal_secret, inbound.principal, resource)
    answers = await _to_all(front, inbound, "PUT", _PATH, body, extra)
    give(response, _first_told(answers))


async def act(
    front: Front,
    inbound: Inbound,
    response: falcon.asgi.Response,
    action: str,
    identifier: str,
    body: bytes,
) -> None:
    """POST of an action that needs a new secret: the same one at every node.

    Raises:
        ApiError: 400 without an Idempotency-Key: a repetition must bring nodes that were away to
            the same secret.
    """
    key = inbound.idempotency_key
    if key is None:
        raise ApiError.invalid(
            "Send an Idempotency-Key: when a node is away, the same request again brings it to the "
            "same secret.",
            param="Idempotency-Key",
            code="parameter_missing",
        )
    target = _target(identifier) + b"/" + action.encode("ascii")
    # No client's key has a line end in it: none makes an endpoint with this secret.
    named = f"{action}\n{identifier}\n{key}"
    _, signing = derive(front.internal_secret, inbound.principal, named)
    resource = Resource(identifier, signing, now_ms())
    extra = resource_lines(front.internal_secret, inbound.principal, resource, action)
    give(response, _first_told(await _to_all(front, inbound, "PUT", target, body, extra)))


async def change(
    front: Front,
    inbound: Inbound,
    response: falcon.asgi.Response,
    method: str,
    identifier: str,
    body: bytes,
) -> None:
    """POST or DELETE of one endpoint, on every node.

    A repeated DELETE finds it gone at the nodes that had answered before: that is a success.
    """
    answers = await _to_all(front, inbound, method, _target(identifier), body)
    if method == "DELETE":
        done = [pair for pair in answers if pair[1].status != 404]
        answers = done or answers
    give(response, _worst(answers))


def _worst(answers: list[tuple[Node, Answer]]) -> Answer:
    """The first answer that is an error, else the first."""
    return next((a for _, a in answers if a.status >= 400), answers[0][1])


def _first_told(answers: list[tuple[Node, Answer]]) -> Answer:
    """An error if there is one; else the answer of a node that has only now heard of the
    endpoint, because that one shows its secret."""
    worst = _worst(answers)
    if worst.status >= 400:
        return worst
    return next((a for _, a in answers if b'"secret"' in a.body), worst)


def _target(identifier: str) -> bytes:
    if (
        not identifier.startswith("we_")
        or not identifier.isascii()
        or not identifier.isidentifier()
    ):
        raise ApiError.missing("webhook_endpoint", identifier)
    return _PATH + b"/" + identifier.encode("ascii")


async def read(
    front: Front,
    inbound: Inbound,
    response: falcon.asgi.Response,
    identifier: str | None,
    query: bytes,
) -> None:
    """GET of one or all: any node can tell, so the first that answers does."""
    target = _PATH if identifier is None else _target(identifier)
    if query:
        target += b"?" + query
    fault: ApiError | None = None
    for node in front.world.topology.nodes:
        try:
            answer = await send(front, node, inbound, "GET", target, b"", [front.epoch_line])
        except HopError as error:
            fault = unreachable(node, error, "GET", True)
            continue
        if answer.status < 500:
            give(response, answer)
            return
    raise fault or ApiError.unavailable("No node answers. Retry.", code="node_unavailable")
