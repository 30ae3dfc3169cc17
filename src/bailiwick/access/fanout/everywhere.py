"""What lives at every node alike: webhook endpoints, and what else a merchant configures.

Id and secret are derived from the merchant and the Idempotency-Key, so that a retry comes to the
same object. Nodes take them from access alone, which proves itself (``sealed_resource``). A change
is made at one node, and brought from there to the others (``copies``).
"""

import hashlib
import hmac
import os

import falcon.asgi
import msgspec

from bailiwick.access.fanout import copies
from bailiwick.access.front import Front
from bailiwick.access.inbound import Inbound
from bailiwick.access.nodes.forward import Answer, HopError
from bailiwick.access.nodes.hop import give, send, unreachable
from bailiwick.base.clock import now_ms
from bailiwick.base.errors import ApiError
from bailiwick.base.ids import derived_id, new_id
from bailiwick.interlink.resource import Resource
from bailiwick.interlink.sealed_resource import Given, resource_lines
from bailiwick.topology.merchants import Principal


def derive(
    secret: bytes, principal: Principal, key: str | None, prefix: str = "we"
) -> tuple[str, str]:
    """Id and signing secret of a new object; random without an Idempotency-Key."""
    if key is None:
        return new_id(prefix, 0, now_ms()), "whsec_" + os.urandom(24).hex()
    scope = f"{principal.merchant.id}|{'live' if principal.livemode else 'test'}|".encode()
    named = scope + key.encode("latin-1")
    told = b"endpoint id|" if prefix == "we" else f"{prefix} id|".encode()
    name = hmac.new(secret, told + named, hashlib.sha256).digest()
    signing = hmac.new(secret, b"endpoint secret|" + named, hashlib.sha256).hexdigest()
    return derived_id(prefix, name), "whsec_" + signing[:48]


async def _changed(
    front: Front,
    of: Resource,
    inbound: Inbound,
    method: str,
    target: bytes,
    body: bytes,
    identifier: str,
    extra: list[bytes] | None = None,
) -> Answer:
    """Change an object at one node that has it as it is now, and bring that to all others.

    The answer names those that were not reached: they get it when they answer again.

    Raises:
        ApiError: 503, no node answers, or the one that was asked did not.
    """
    topology = front.world.topology
    found = await copies.known(front, of.table, identifier)
    number = found.holder(identifier)
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
    late = await copies.spread(front, of.table, number, [identifier], others)
    return _naming(answer, [each.name for each in topology.nodes if each.number in late])


def _naming(answer: Answer, lagging: list[str]) -> Answer:
    """An answer with the nodes that do not have the change yet."""
    if not lagging:
        return answer
    shown = {**msgspec.json.decode(answer.body), "lagging_nodes": lagging}
    return Answer(answer.status, answer.headers, msgspec.json.encode(shown))


async def create(
    front: Front, of: Resource, inbound: Inbound, response: falcon.asgi.Response, body: bytes
) -> None:
    """POST: the same object at every node."""
    secret, who = front.internal_secret, inbound.principal
    identifier, signing = derive(secret, who, inbound.idempotency_key, of.prefix)
    extra = resource_lines(secret, who, Given(identifier, signing, now_ms()))
    target = of.path.encode("ascii")
    give(response, await _changed(front, of, inbound, "PUT", target, body, identifier, extra))


async def act(
    front: Front,
    of: Resource,
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
    target = _target(of, identifier) + b"/" + action.encode("ascii")
    key = inbound.idempotency_key
    if key is None:
        raise ApiError.invalid(
            "Send an Idempotency-Key: when there is no answer, the same request again comes to the "
            "same secret.",
            param="Idempotency-Key",
            code="parameter_missing",
        )
    # No client's key has a line end in it: none makes an object with this secret.
    named = f"{action}\n{identifier}\n{key}"
    _, signing = derive(front.internal_secret, inbound.principal, named)
    given = Given(identifier, signing, now_ms())
    extra = resource_lines(front.internal_secret, inbound.principal, given, action)
    give(response, await _changed(front, of, inbound, "PUT", target, body, identifier, extra))


async def change(
    front: Front,
    of: Resource,
    inbound: Inbound,
    response: falcon.asgi.Response,
    method: str,
    identifier: str,
    body: bytes,
) -> None:
    """POST or DELETE of one object."""
    target = _target(of, identifier)
    give(response, await _changed(front, of, inbound, method, target, body, identifier))


def _target(of: Resource, identifier: str) -> bytes:
    named = identifier.isascii() and identifier.isidentifier()
    if not named or not identifier.startswith(f"{of.prefix}_"):
        raise ApiError.missing(of.object, identifier)
    return f"{of.path}/{identifier}".encode("ascii")


async def read(
    front: Front,
    of: Resource,
    inbound: Inbound,
    response: falcon.asgi.Response,
    identifier: str | None,
    query: bytes,
) -> None:
    """GET of one or all: any node can tell, so the first that answers does."""
    target = of.path.encode("ascii") if identifier is None else _target(of, identifier)
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
