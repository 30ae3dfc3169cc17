"""What has its place by the payer's at access: receive, locate, assign, deliver."""

import time
from typing import Any

import falcon.asgi
import msgspec

from bailiwick.access.deliver import Delivery
from bailiwick.access.front import Front
from bailiwick.access.inbound import Inbound, receive, target_of
from bailiwick.access.nodes.hop import give
from bailiwick.access.peers.key_homes import key_digest, packed
from bailiwick.base.clock import now_ms
from bailiwick.base.errors import ApiError
from bailiwick.base.ids import is_id
from bailiwick.base.keys import fresh_key, is_fresh
from bailiwick.jurisdiction.assign import to_object
from bailiwick.jurisdiction.home_history import explained
from bailiwick.jurisdiction.locate import NO_EVIDENCE, Evidence
from bailiwick.jurisdiction.route_plan import RoutePlan
from bailiwick.wire.answers import json_answer
from bailiwick.wire.forms import Params, parse_body, parse_form, struct_from
from bailiwick.wire.protocol import read_body

Request = falcon.asgi.Request
Response = falcon.asgi.Response


_KEY_FREE = frozenset({400, 401, 403, 404, 413, 421, 429})
"""Answers of a node that refused a request as it stands: its key may come with another one."""


class Create:
    """What is made at the node with jurisdiction over a place; ``moves``: money may move at once;
    ``always``: whatever the request says. What is not a payment is kept for later ones, and so
    where those will look for it: at home."""

    def __init__(self, front: Front, *, moves: bool, always: bool = False) -> None:
        self.front = front
        self._moves = moves
        self._always = always

    async def on_post(self, request: Request, response: Response) -> None:
        front = self.front
        inbound = receive(front, request, response)
        body = await read_body(request)
        params = parse_body(request.content_type, body)
        await self.deliver(request, response, inbound, body, params)

    async def deliver(
        self, request: Request, response: Response, inbound: Inbound, body: bytes, params: Params
    ) -> None:
        """Bring a request that was read to the node that takes it, and its answer back."""
        front = self.front
        key = _key(inbound)
        placed = _place(front, inbound, key, params)
        one_shot = self._moves and (self._always or may_move_money(params))
        target = target_of(request)
        delivery = Delivery(
            front, inbound, placed, target, body,
            one_shot=one_shot, stays=not self._moves or names_payer(params), params=params,
        )  # fmt: skip
        release = _claim(front, inbound, placed)
        answer = await delivery.run()
        if release is not None and answer.status in _KEY_FREE:
            front.key_homes.forgotten(*release)
        give(response, answer)


class Explain:
    """/v1/explain: the node's explanation, or what is known here without it."""

    def __init__(self, front: Front) -> None:
        self.front = front

    async def on_post(self, request: Request, response: Response) -> None:
        front = self.front
        inbound = receive(front, request, response)
        body = await read_body(request)
        params = parse_body(request.content_type, body)
        placed = _place(front, inbound, "", params)
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
        json_answer(response, _known_here(front, placed, one_shot=one_shot, missing=missing))


class Ask:
    """What the node with jurisdiction over a place is asked, and nothing is written for."""

    def __init__(self, front: Front, *, public: bool) -> None:
        self.front = front
        self._public = public

    async def on_get(self, request: Request, response: Response) -> None:
        front = self.front
        inbound = receive(front, request, response, public=self._public)
        placed = _place(front, inbound, "", parse_form(request.scope["query_string"]))
        delivery = Delivery(
            front, inbound, placed, target_of(request), b"",
            one_shot=False, reading=True, method="GET",
        )  # fmt: skip
        give(response, await delivery.run())


class _Placing(msgspec.Struct, frozen=True):
    """What places a payment, of all that its request says."""

    location: Evidence


def evidence_in(params: Params) -> Evidence:
    """What a create or explain request says about where the payer is, as the node reads it too.

    Raises:
        ApiError: 400, a ``location`` that is empty or no object, or has unknown or empty fields.
    """
    if "location" not in params:
        return NO_EVIDENCE
    return struct_from({"location": params["location"]}, _Placing).location


def may_move_money(params: Params) -> bool:
    """Whether a create request may charge at once: anything but a clear no counts as yes."""
    return params.get("confirm") not in (None, "", "false", False)


def names_payer(params: Params) -> bool:
    """Whether a create request names what is kept of a payer: only its own node has that, so no
    other is of use."""
    return bool(params.get("customer")) or is_id(str(params.get("payment_method")), "pm")


def _place(front: Front, inbound: Inbound, key: str, params: Params) -> RoutePlan:
    """Locate and assign. Raises ApiError (400, 421)."""
    world, merchant = front.world, inbound.principal.merchant
    evidence = evidence_in(params)
    placed = RoutePlan(world, front.atlas, front.home_histories, evidence, merchant, key)
    if front.region is not None:
        front.region.require(placed.assignment, world.topology)
    return placed


def _claim(front: Front, inbound: Inbound, placed: RoutePlan) -> tuple[bytes, int] | None:
    """Note to which home the evidence leads under the client's key; returned if that is news.

    Where it leads is a function of evidence and epoch. Refusals and usage states do not count: it
    is called before there are any.

    Raises:
        ApiError: 400, the key came lately with other evidence, which led to another home.
    """
    key, home = inbound.idempotency_key, placed.assignment.node
    if key is None or home is None:
        return None
    secret, who = front.internal_secret, inbound.principal
    digest = key_digest(secret, who.merchant.id, who.livemode, key)
    value = packed(secret, placed.evidence, home)
    made = front.key_homes.claim(digest, home, value, time.monotonic())
    return (digest, value) if made else None


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


def _known_here(front: Front, placed: RoutePlan, *, one_shot: bool, missing: str) -> dict[str, Any]:
    """An explanation without the node's part; ``missing``: why that is not there."""
    verdicts = front.verdicts_by_name()
    assignment = placed.assignment
    if one_shot:
        assignment = explained(assignment, placed.look(now_ms()))
    node = placed.world.topology.by_number.get(assignment.node or 0)
    name = None if node is None else node.name
    return {
        "object": "explanation",
        "location": placed.location,
        "assignment": {**to_object(assignment), "name": name},
        "routing": None,
        "routing_unavailable": missing,
        "usage": verdicts,
    }
