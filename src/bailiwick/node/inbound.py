"""What the node reads of a request: who asks, for which key, and whether it is in its place."""

import base64
import binascii
import re
from typing import Any

import falcon.asgi
import msgspec

from bailiwick.access.assign import OPEN, Assignment, assign
from bailiwick.access.evidence import LocationParams, evidence
from bailiwick.access.locate import Location, locate
from bailiwick.base.errors import ApiError
from bailiwick.base.ids import new_id
from bailiwick.node.idempotency import KEY_CHARS_MAX, Asked, request_hash
from bailiwick.node.requests import Place, refuse_cards
from bailiwick.node.service import Node
from bailiwick.shell.forms import Params, parse_body, parse_form
from bailiwick.shell.http import read_body
from bailiwick.world.merchants import Principal

# Twelve digits near each other: seldom, and only then is every field looked at closely.
_LONG_NUMBER = re.compile(r"(?:\d[ \-.+]?){12}")


async def parameters(request: falcon.asgi.Request) -> Params:
    """The parameters of a body, with card numbers refused. Raises ApiError."""
    params = parse_body(request.content_type, await read_body(request))
    if params and _LONG_NUMBER.search(str(params)):
        refuse_cards(params)
    return params


def query(request: falcon.asgi.Request) -> Params:
    """The parameters of a query string. Raises ApiError."""
    return parse_form(request.query_string.encode("latin-1")) if request.query_string else {}


def principal(request: falcon.asgi.Request, node: Node, *, public: bool = False) -> Principal:
    """On whose behalf a request comes; ``public``: a publishable key will do.

    Raises:
        ApiError: 401 without a known key, 403 for a publishable one where it may not be used.
    """
    found = node.world.merchants.by_key(_presented(request.get_header("Authorization")))
    if found is None:
        raise ApiError.unauthorized("Invalid API key. Send it as 'Authorization: Bearer sk_...'.")
    if found.kind != "secret" and not public:
        raise ApiError.forbidden(
            "A publishable key may not do this: use the secret key, from your server."
        )
    return found


def _presented(header: str | None) -> str:
    scheme, _, value = (header or "").partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(value, validate=True).decode().partition(":")[0]
        except (binascii.Error, UnicodeDecodeError):
            return ""
    return ""


def asked(
    request: falcon.asgi.Request,
    who: Principal,
    operation: str,
    target: str,
    params: Params,
    expand: list[str],
) -> Asked:
    """The identity of an idempotent request; without a key it gets one of its own.

    Raises:
        ApiError: 400, the key is empty or too long.
    """
    key = request.get_header("Idempotency-Key")
    if key is None:
        key = new_id("auto", 0, 0)
    elif not 0 < len(key) <= KEY_CHARS_MAX or not key.isprintable():
        raise ApiError.invalid(
            f"Idempotency-Key must have 1 to {KEY_CHARS_MAX} printable characters.",
            param="Idempotency-Key",
            code="idempotency_key_invalid",
        )
    return Asked(
        who.merchant,
        who.livemode,
        key,
        request_hash(operation, target, params),
        operation,
        expand,
        request.get_header("request-id") or "",
    )


def located(node: Node, who: Principal, place: Place | None) -> Location:
    """Where the payer is, by the request's own evidence. Raises ApiError."""
    said = (
        LocationParams()
        if place is None
        else LocationParams(place.country, place.subdivision, place.coordinates, place.ip_address)
    )
    topology = node.world.topology
    return locate(evidence(said), node.atlas, topology.overrides, who.merchant.default_country)


def assigned(
    node: Node, request: falcon.asgi.Request, who: Asked, location: Location, *, moves: bool
) -> Assignment:
    """The assignment as this node computes it itself; never taken on trust.

    ``moves``: the request may move money, so only committed refusals pass a node over.

    Raises:
        ApiError: 421, another node has jurisdiction; names it and its address.
    """
    refused = node.refusals.read(request.get_header("Bailiwick-Refusals"), who)
    usage = None if moves else _passed_over(node, request)
    topology = node.world.topology
    found = assign(location, topology, refused=refused, usage=usage)
    if found.node is None and usage is not None:
        found = assign(location, topology, refused=refused)
    if found.node != node.number:
        raise _misdirected(node, found)
    return found


def _passed_over(node: Node, request: falcon.asgi.Request) -> dict[int, str] | None:
    header = request.get_header("Bailiwick-Passed-Over")
    if not header:
        return None
    try:
        passed: dict[str, str] = msgspec.json.decode(header, type=dict[str, str])
    except msgspec.DecodeError:
        return None
    numbers = node.world.topology.by_number
    return {number: passed.get(str(number), OPEN)[:200] for number in numbers}


def _misdirected(node: Node, found: Assignment) -> ApiError:
    wanted = node.world.topology.by_number.get(found.node or found.home)
    extra: dict[str, Any] = {"epoch": found.epoch}
    message = "This node has no jurisdiction over the payment's place."
    if wanted is not None:
        extra |= {"node": wanted.name, "url": wanted.url}
        message += f" Send it to node '{wanted.name}' at {wanted.url}, or through access."
    error = ApiError.invalid(message, param="location", code="wrong_node", status=421)
    error.extra = extra
    return error
