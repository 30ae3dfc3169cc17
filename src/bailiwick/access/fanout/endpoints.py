"""Webhook endpoints: each lives on every node, as events are sent from where they happen.

Id and secret are derived from the merchant and the Idempotency-Key, so that a retry comes to the
same endpoint. Nodes take them from access alone, which proves itself (``resource``). A change is
made at one node, and brought from there to the others (``endpoint_copies``).
"""

import hashlib
import hmac
import os

import falcon.asgi
import msgspec

from bailiwick.access.fanout import endpoint_copies
from bailiwick.access.front import Front
from bailiwick.access.inbound import Inbound
from bailiwick.access.nodes.forward import Answer, HopError
from bailiwick.access.nodes.hop import give, send, unreachable
from bailiwick.base.clock import now_ms
from bailiwick.base.errors import ApiError
from bailiwick.base.ids import new_id
from bailiwick.interlink.sealed_resource import Resource, resource_lines
from bailiwick.topology.merchants import Principal

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


async def _changed(
    front: Front,
    inbound: Inbound,
    method: str,
    target: bytes,
    body: bytes,
    identifier: str,
    extra: list[bytes] | None = None,
) -> Answer:
    """Change an endpoint at one node that has it as it is now, and bring that to all others.

    The answer names those that were not reached: they get it when they answer again.

    Raises:
        ApiError: 503, no node answers, or the one that was asked did not.
    """
    topology = front.world.topology
    copies = await endpoint_copies.known(front, identifier)
    number = copies.holder(identifier)
    if number is None:
        raise ApiError.unavailable("No node answers. Retry.", code="node_unavailable")
    node = topology.by_number[number]
    lines = [front.epoch_line, *(extra or ())]
    try:
        answer = await send(front, node, inbound, method, target, body, lines)
    except HopError as error:
        keyed = inbound.idempotency_key is not None
        raise unreachable(node, error, method, keyed) from None
    if answer.status >= 400:
        return answer
    others = {each.number for each in topology.nodes} - {number}
    late = await endpoint_copies.spread(front, number, [identifier], others)
    return _naming(answer, [each.name for each in topology.nodes if each.number in late])


def _naming(answer: Answer, lagging: list[str]) -> Answer:
    """An answer with the nodes that do not have the change yet."""
    if not lagging:
        return answer
    shown = {**msgspec.json.decode(answer.body), "lagging_nodes": lagging}
    return Answer(answer.status, answer.headers, msgspec.json.encode(shown))


async def create(
    front: Front, inbound: Inbound, response: falcon.asgi.Response, body: bytes
) -> None:
    """POST: the same endpoint on every node."""
    identifier, signing = derive(front.internal_secret, inbound.principal, inbound.idempotency_key)
    resource = Resource(identifier, signing, now_ms())
    extra = resource_lines(front.internal_secret, inbound.principal, resource)
    give(response, await _changed(front, inbound, "PUT", _PATH, body, identifier, extra))


async def act(
    front: Front,
    inbound: Inbound,
    response: falcon.asgi.Response,
    action: str,
    identifier: str,
    body: bytes,
) -> None:
    """POST of an action that needs a new secret.

    Raises:
        ApiError: 400 without an Idempotency-Key: a repetition must come to the same secret.
    """
    key = inbound.idempotency_key
    if key is None:
        raise ApiError.invalid(
            "Send an Idempotency-Key: when there is no answer, the same request again comes to the "
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
    give(response, await _changed(front, inbound, "PUT", target, body, identifier, extra))


async def change(
    front: Front,
    inbound: Inbound,
    response: falcon.asgi.Response,
    method: str,
    identifier: str,
    body: bytes,
) -> None:
    """POST or DELETE of one endpoint."""
    target = _target(identifier)
    give(response, await _changed(front, inbound, method, target, body, identifier))


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
