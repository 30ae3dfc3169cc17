"""The way of a request to its node: locate, assign, forward, match again when refused.

What may move money goes to its home and nowhere else, unless the home itself refuses: it then
commits a tombstone for the request's key and gives a token for it, with which the next node
may take the request. What this process believes about a node's usage state counts only for a
create without confirm, where nothing can move yet.
"""

import time
from typing import Any

import falcon.asgi
import msgspec

from bailiwick.access.assign import Assignment, assign
from bailiwick.access.evidence import evidence_from, may_move_money
from bailiwick.access.forward import Answer, HopError
from bailiwick.access.front import Front
from bailiwick.access.inbound import Inbound
from bailiwick.access.locate import Location, locate
from bailiwick.access.usage import OPEN
from bailiwick.base.errors import ApiError
from bailiwick.shell.answers import json_answer
from bailiwick.shell.forms import parse_body
from bailiwick.world.merchants import Merchant
from bailiwick.world.snapshot import World
from bailiwick.world.topology import Node

_PASSED = {
    name.encode("ascii"): name
    for name in (
        "content-type",
        "idempotent-replayed",
        "original-request",
        "retry-after",
        "server-timing",
        "stripe-should-retry",
        "stripe-version",
    )
}
_encode = msgspec.json.Encoder().encode


def give(response: falcon.asgi.Response, answer: Answer) -> None:
    """Pass a node's answer on to the client, with the headers that are for clients."""
    headers = answer.headers
    if answer.status >= 500 and not headers.get(b"content-type", b"").startswith(
        b"application/json"
    ):
        raise ApiError.defect()
    response.status = answer.status
    response.data = answer.body
    for raw, name in _PASSED.items():
        value = headers.get(raw)
        if value is not None:
            response.set_header(name, value.decode("latin-1"))


def unreachable(node: Node, error: HopError, method: str, keyed: bool) -> ApiError:
    """The answer when a node gave none.

    A request without Idempotency-Key that may have been carried out must not be sent again by
    an SDK on its own.
    """
    if error.busy:
        return ApiError.unavailable(
            f"Node {node.name} has too many requests waiting. Nothing was done: retry.",
            code="overloaded",
        )
    known = method == "GET" or keyed or error.phase == "unsent"
    fault = ApiError.unavailable(
        f"Node {node.name} is unavailable: {error.reason}. "
        + (
            "Retry with the same Idempotency-Key: it is not carried out twice."
            if known
            else "The request may have been carried out. It had no Idempotency-Key: look for its "
            "result before you send it again."
        ),
        code="node_unavailable",
    )
    fault.retry = known
    return fault


async def send(
    front: Front,
    node: Node,
    inbound: Inbound,
    method: str,
    target: bytes,
    body: bytes,
    extra: list[bytes],
    timeout: float | None = None,
) -> Answer:
    """One hop: counted, timed, its usage report taken in.

    ``extra`` lines follow those of the request; the epoch by which it was placed is among them.

    Raises:
        HopError: no complete answer.
    """
    lines = inbound.lines + extra
    started = time.perf_counter()
    try:
        answer = await front.client(node).request(method, target, lines, body, timeout=timeout)
    except HopError as error:
        front.metrics.failures[node.name, "busy" if error.busy else error.phase] += 1
        if not error.busy and error.phase == "unsent":
            front.board.failed(node.number, error.reason)
        raise
    front.metrics.hop(node.name, time.perf_counter() - started)
    front.board.observe(node.number, answer.headers.get(b"bailiwick-usage"))
    if answer.status == 421:
        front.suspect_world()
    return answer


async def send_home(
    front: Front, node: Node, inbound: Inbound, method: str, target: bytes, body: bytes = b""
) -> Answer:
    """A request about something that lives on ``node``. Raises ApiError (503)."""
    try:
        return await send(front, node, inbound, method, target, body, [front.epoch_line])
    except HopError as error:
        raise unreachable(node, error, method, inbound.idempotency_key is not None) from None


def refusal_in(answer: Answer, node: Node) -> tuple[bytes, str] | None:
    """The token and reason when the node refused to take the request over, else None."""
    if answer.status != 503:
        return None
    token = answer.headers.get(b"bailiwick-refusal")
    if token is None:
        return None
    parts = token.decode("latin-1").split(".")
    if len(parts) != 4 or parts[0] != str(node.number):
        return None
    return token, parts[2][:64]


class Placed:
    """A request on its way to whichever node takes it.

    Attributes:
        location: where the payer is.
        assignment: the latest match.
        last: the last refusal's answer, for the case that nobody takes it.
    """

    __slots__ = ("_refused", "_tokens", "_usage", "_world", "assignment", "last", "location")

    def __init__(self, world: World, location: Location) -> None:
        self._world = world
        self.location = location
        self._refused: dict[int, str] = {}
        self._usage: dict[int, str] | None = None
        self._tokens: list[bytes] = []
        self.last: Answer | None = None
        self.assignment = self._match()

    def _match(self) -> Assignment:
        return assign(self.location, self._world.topology, refused=self._refused, usage=self._usage)

    def refused(self, number: int, token: bytes, reason: str, answer: Answer) -> None:
        """Match again without a node that refused."""
        self._refused[number] = reason
        self._tokens.append(token)
        self.last = answer
        self.assignment = self._match()

    def unsupported(self) -> bool:
        """Whether every node refused because none of its gateways could ever take this."""
        return bool(self._refused) and set(self._refused.values()) == {"unsupported"}

    def by_usage(self, verdicts: dict[int, str]) -> None:
        """Match again by usage state; with no open node at all it does not count."""
        self._usage = verdicts
        self.assignment = self._match()
        if self.assignment.node is None:
            self._usage = None
            self.assignment = self._match()

    def lines(self) -> list[bytes]:
        """What the node must know of the matching so far, to come to the same assignment: the
        epoch, refusals, and what was passed over by usage state."""
        lines = [b"bailiwick-epoch: %d\r\n" % self._world.epoch]
        if self._tokens:
            lines.append(b"bailiwick-refusals: %b\r\n" % b",".join(self._tokens))
        if self._usage is not None:
            passed = {str(n): verdict for n, verdict in self._usage.items() if verdict != OPEN}
            lines.append(b"bailiwick-passed-over: %b\r\n" % _encode(passed))
        return lines


def place(front: Front, world: World, merchant: Merchant, params: dict[str, Any]) -> Placed:
    """Locate and assign. Raises ApiError (400, 421)."""
    location = locate(
        evidence_from(params), front.atlas, world.topology.overrides, merchant.default_country
    )
    placed = Placed(world, location)
    if front.region is not None:
        _serve_here(world, placed.assignment, front.region)
    return placed


def _serve_here(world: World, assignment: Assignment, region: str) -> None:
    """Places with strict residency are served by access processes of their region only."""
    if assignment.residency != "strict":
        return
    if any(c.name == region and c.verdict != "not_allowed" for c in assignment.considered):
        return
    home = world.topology.by_number[assignment.home]
    raise ApiError(
        421,
        "invalid_request_error",
        f"Payments of {assignment.rule} are taken in their own region only. Send this request "
        f"to {home.url}.",
        code="wrong_region",
        param="location",
        extra={"url": home.url},
    )


async def deliver(
    front: Front,
    world: World,
    inbound: Inbound,
    placed: Placed,
    target: bytes,
    body: bytes,
    one_shot: bool,
    *,
    reading: bool = False,
) -> Answer:
    """Bring a create or explain request to the node that takes it.

    ``one_shot``: money may move, so only refusals make it leave its home. ``reading``: nothing
    is written, so it may always be sent again.

    Raises:
        ApiError: 503, nobody took it or the node is unavailable.
    """
    thresholds = world.topology.thresholds
    for _ in range(2 * len(world.topology.nodes) + 1):
        number = placed.assignment.node
        if number is None:
            break
        if not one_shot and front.board.verdict(number, thresholds) != OPEN:
            placed.by_usage(front.board.verdicts(thresholds))
            number = placed.assignment.node
            if number is None:
                break
        node = world.topology.by_number[number]
        try:
            answer = await send(front, node, inbound, "POST", target, body, placed.lines())
        except HopError as error:
            if not one_shot and error.phase == "unsent" and not error.busy:
                placed.by_usage(front.board.verdicts(thresholds))
                if placed.assignment.node not in (None, number):
                    continue
            keyed = inbound.idempotency_key is not None
            method = "GET" if reading else "POST"
            raise unreachable(node, error, method, keyed) from None
        refusal = refusal_in(answer, node)
        if refusal is None:
            if not reading:
                front.metrics.assigned[node.name] += 1
            return answer
        token, reason = refusal
        front.metrics.refusals[node.name, reason] += 1
        placed.refused(number, token, reason, answer)
    raise _nobody(placed)


def _nobody(placed: Placed) -> ApiError:
    why = "; ".join(
        f"{c.name}: {c.reason}" for c in placed.assignment.considered if c.verdict != "not_allowed"
    )
    if placed.unsupported():
        return ApiError.invalid(
            f"No gateway takes this payment method, currency and amount in {placed.assignment.rule}"
            ": change one of them. POST /v1/explain says why for each gateway.",
            param="payment_method_types",
            code="payment_method_unsupported",
        )
    refused = placed.last is not None
    remedy = (
        "Nothing was charged, and this key will not be taken any more: try again with a new "
        "Idempotency-Key."
        if refused
        else "Retry with the same Idempotency-Key."
    )
    error = ApiError.unavailable(
        f"No node takes payments of {placed.assignment.rule} now ({why}). {remedy}",
        code="no_node",
    )
    error.retry = not refused
    return error


async def create(
    front: Front, inbound: Inbound, request: falcon.asgi.Request, body: bytes
) -> Answer:
    """POST /v1/payment_intents."""
    world = front.world
    params = parse_body(request.content_type, body)
    placed = place(front, world, inbound.principal.merchant, params)
    target = target_of(request)
    if inbound.idempotency_key is None:
        # A refusal is bound to a key: without one, the next node could not trust it.
        inbound.lines.append(b"idempotency-key: auto_%b\r\n" % inbound.request_id.encode("ascii"))
    return await deliver(front, world, inbound, placed, target, body, may_move_money(params))


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
    world = front.world
    params = parse_body(request.content_type, body)
    placed = place(front, world, inbound.principal.merchant, params)
    # An explanation changes nothing, so only what is explained decides how it is placed.
    one_shot = may_move_money(params)
    try:
        answer = await deliver(
            front, world, inbound, placed, b"/v1/explain", body, one_shot, reading=True
        )
        if answer.status < 500:
            give(response, answer)
            return
        missing = f"the node answered {answer.status}"
    except ApiError as error:
        if error.status < 500:
            raise
        missing = error.message
    verdicts = front.verdicts_by_name()
    node = world.topology.by_number.get(placed.assignment.node or 0)
    name = None if node is None else node.name
    json_answer(
        response,
        {
            "object": "explanation",
            "location": placed.location,
            "assignment": {**msgspec.to_builtins(placed.assignment), "name": name},
            "routing": None,
            "routing_unavailable": missing,
            "usage": verdicts,
        },
    )
