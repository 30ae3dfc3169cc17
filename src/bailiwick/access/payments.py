"""Creates and explanations at access: locate, assign, deliver."""

from typing import Any

import falcon.asgi

from bailiwick.access.deliver import Delivery
from bailiwick.access.forward import Answer
from bailiwick.access.front import Front
from bailiwick.access.hop import give, send, send_home, unreachable
from bailiwick.access.inbound import Inbound
from bailiwick.base.clock import now_ms
from bailiwick.base.errors import ApiError
from bailiwick.jurisdiction.assign import to_object
from bailiwick.jurisdiction.evidence import evidence_from, may_move_money
from bailiwick.jurisdiction.home_history import explained
from bailiwick.jurisdiction.key_age import fresh_key, is_fresh
from bailiwick.jurisdiction.route_plan import RoutePlan
from bailiwick.topology.snapshot import World
from bailiwick.wire.answers import json_answer
from bailiwick.wire.forms import parse_body

__all__ = ["create", "explain", "give", "send", "send_home", "target_of", "unreachable"]


def place(
    front: Front, world: World, inbound: Inbound, key: str, params: dict[str, Any]
) -> RoutePlan:
    """Locate and assign. Raises ApiError (400, 421)."""
    merchant = inbound.principal.merchant
    evidence = evidence_from(params)
    placed = RoutePlan(world, front.atlas, front.home_histories, evidence, merchant, key)
    front.region.require(placed.assignment, world.topology)
    return placed


async def create(
    front: Front, inbound: Inbound, request: falcon.asgi.Request, body: bytes
) -> Answer:
    """POST /v1/payment_intents."""
    params = parse_body(request.content_type, body)
    key = _key(inbound)
    placed = place(front, front.world, inbound, key, params)
    target = target_of(request)
    one_shot = may_move_money(params)
    delivery = Delivery(front, inbound, placed, target, body, one_shot=one_shot, params=params)
    return await delivery.run()


def _key(inbound: Inbound) -> str:
    """The request's idempotency key; without one it gets one of its own.

    A refusal is bound to a key: without one, the next node could not trust it.

    Raises:
        ApiError: 400, the key looks like one of ours.
    """
    given = inbound.idempotency_key
    if given is None:
        key = fresh_key(now_ms())
        inbound.lines.append(b"idempotency-key: %b\r\n" % key.encode("ascii"))
        return key
    if is_fresh(given):
        raise ApiError.invalid(
            "Keys of the form auto_ and 26 characters are given to requests without a key. "
            "Choose another Idempotency-Key.",
            param="Idempotency-Key",
            code="idempotency_key_invalid",
        )
    return given


def target_of(request: falcon.asgi.Request) -> bytes:
    """Path and query as the client sent them."""
    scope = request.scope
    path: bytes = scope["raw_path"]
    query: bytes = scope["query_string"]
    return path + b"?" + query if query else path


async def explain(
    front: Front,
    inbound: Inbound,
    request: falcon.asgi.Request,
    response: falcon.asgi.Response,
    body: bytes,
) -> None:
    """POST /v1/explain: the node's explanation, or what is known here without it."""
    params = parse_body(request.content_type, body)
    placed = place(front, front.world, inbound, "", params)
    # An explanation changes nothing, so only what is explained decides how it is placed.
    one_shot = may_move_money(params)
    delivery = Delivery(
        front, inbound, placed, b"/v1/explain", body, one_shot=one_shot, reading=True
    )
    try:
        answer = await delivery.run()
        if answer.status < 500:
            give(response, answer)
            return
        missing = f"the node answered {answer.status}"
    except ApiError as error:
        if error.status < 500:
            raise
        missing = error.message
    verdicts = front.verdicts_by_name()
    assignment = placed.assignment
    if one_shot:
        assignment = explained(assignment, placed.look(now_ms()))
    node = placed.world.topology.by_number.get(assignment.node or 0)
    name = None if node is None else node.name
    json_answer(
        response,
        {
            "object": "explanation",
            "location": placed.location,
            "assignment": {**to_object(assignment), "name": name},
            "routing": None,
            "routing_unavailable": missing,
            "usage": verdicts,
        },
    )
