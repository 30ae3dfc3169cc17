"""The routes of access: a Falcon application over one ``Front``."""

import re
import time
from typing import Any

import falcon.asgi

from bailiwick.access import endpoints, lists, payments
from bailiwick.access.board import shown
from bailiwick.access.forward import HopError
from bailiwick.access.front import Front
from bailiwick.access.hop import require_region
from bailiwick.access.inbound import Inbound, callback_lines, receive
from bailiwick.access.usage import OPEN
from bailiwick.base.errors import ApiError
from bailiwick.shell.answers import install_errors, json_answer
from bailiwick.shell.forms import parse_body
from bailiwick.shell.http import new_request_id, read_body
from bailiwick.shell.telemetry import CONTENT_TYPE
from bailiwick.world.topology import Node

Request = falcon.asgi.Request
Response = falcon.asgi.Response

_GATEWAY = re.compile(r"[A-Za-z0-9_-]{1,64}")
_PAYMENT_ACTIONS = frozenset({"confirm", "capture", "cancel"})


class _Resource:
    """Base of routes that need an API key."""

    def __init__(self, front: Front) -> None:
        self.front = front

    def receive(self, request: Request, response: Response, *, public: bool = False) -> Inbound:
        """Authenticate; ``public`` routes also take a publishable key."""
        front = self.front
        inbound = receive(request, response, front.world.merchants)
        principal = inbound.principal
        if principal.kind != "secret" and not public:
            raise ApiError.forbidden(
                "This API call cannot be made with a publishable API key. Use a secret key."
            )
        if not front.rates.admit(principal.merchant.id, time.monotonic()):
            error = ApiError.invalid(
                "Too many requests of this merchant. Slow down and retry.",
                code="rate_limit",
                status=429,
            )
            error.retry = True
            error.headers["retry-after"] = "1"
            raise error
        return inbound

    async def to_node(
        self, request: Request, response: Response, node: Node, inbound: Inbound, identifier: str
    ) -> None:
        """Forward as it is, to the node of what the request is about."""
        await require_region(self.front, node, inbound, identifier)
        body = b"" if request.method == "GET" else await read_body(request)
        target = payments.target_of(request)
        answer = await payments.send_home(self.front, node, inbound, request.method, target, body)
        payments.give(response, answer)


class Payments(_Resource):
    """/v1/payment_intents"""

    async def on_post(self, request: Request, response: Response) -> None:
        inbound = self.receive(request, response)
        body = await read_body(request)
        payments.give(response, await payments.create(self.front, inbound, request, body))

    async def on_get(self, request: Request, response: Response) -> None:
        await lists.list_all(self.front, self.receive(request, response), request, response)


class Payment(_Resource):
    """/v1/payment_intents/{id} and its actions"""

    async def on_get(self, request: Request, response: Response, identifier: str) -> None:
        await self._forward(request, response, identifier, public=True)

    async def on_post(self, request: Request, response: Response, identifier: str) -> None:
        await self._forward(request, response, identifier)

    async def on_post_action(
        self, request: Request, response: Response, identifier: str, action: str
    ) -> None:
        if action not in _PAYMENT_ACTIONS:
            raise falcon.HTTPRouteNotFound
        await self._forward(request, response, identifier, public=action == "confirm")

    async def _forward(
        self, request: Request, response: Response, identifier: str, *, public: bool = False
    ) -> None:
        inbound = self.receive(request, response, public=public)
        node = self.front.node_for(identifier, "pi_", "payment_intent")
        await self.to_node(request, response, node, inbound, identifier)


class Refunds(_Resource):
    """/v1/refunds"""

    async def on_post(self, request: Request, response: Response) -> None:
        inbound = self.receive(request, response)
        body = await read_body(request)
        node, identifier = self._node(parse_body(request.content_type, body))
        await require_region(self.front, node, inbound, identifier)
        target = payments.target_of(request)
        answer = await payments.send_home(self.front, node, inbound, "POST", target, body)
        payments.give(response, answer)

    async def on_get(self, request: Request, response: Response) -> None:
        await lists.list_all(self.front, self.receive(request, response), request, response)

    def _node(self, params: dict[str, Any]) -> tuple[Node, str]:
        """The node of the payment or charge to refund, and its id. Raises ApiError (400, 404)."""
        found: tuple[Node, str] | None = None
        for name, prefix in (("payment_intent", "pi_"), ("charge", "ch_")):
            identifier = params.get(name)
            if not identifier:
                continue
            if not isinstance(identifier, str):
                raise ApiError.invalid(f"Invalid string in {name}.", param=name)
            node = self.front.node_for(identifier, prefix, name)
            if found is not None and node is not found[0]:
                raise ApiError.invalid(
                    "payment_intent and charge do not belong together.", param=name
                )
            found = node, identifier
        if found is None:
            raise ApiError.invalid(
                "Missing required param: payment_intent (or charge).",
                param="payment_intent",
                code="parameter_missing",
            )
        return found


class ById(_Resource):
    """One object that is only read or updated where it lives."""

    def __init__(self, front: Front, prefix: str, kind: str) -> None:
        super().__init__(front)
        self._prefix = prefix
        self._kind = kind

    async def on_get(self, request: Request, response: Response, identifier: str) -> None:
        inbound = self.receive(request, response)
        node = self.front.node_for(identifier, self._prefix, self._kind)
        await self.to_node(request, response, node, inbound, identifier)


class Updatable(ById):
    """The same with POST."""

    async def on_post(self, request: Request, response: Response, identifier: str) -> None:
        await self.on_get(request, response, identifier)


class Events(_Resource):
    """/v1/events"""

    async def on_get(self, request: Request, response: Response) -> None:
        await lists.list_all(self.front, self.receive(request, response), request, response)


class WebhookEndpoints(_Resource):
    """/v1/webhook_endpoints"""

    async def on_post(self, request: Request, response: Response) -> None:
        inbound = self.receive(request, response)
        await endpoints.create(self.front, inbound, response, await read_body(request))

    async def on_get(self, request: Request, response: Response) -> None:
        inbound = self.receive(request, response)
        query = request.scope["query_string"]
        await endpoints.read(self.front, inbound, response, None, query)

    async def on_get_one(self, request: Request, response: Response, identifier: str) -> None:
        inbound = self.receive(request, response)
        query = request.scope["query_string"]
        await endpoints.read(self.front, inbound, response, identifier, query)

    async def on_post_one(self, request: Request, response: Response, identifier: str) -> None:
        await self._change(request, response, identifier)

    async def on_delete_one(self, request: Request, response: Response, identifier: str) -> None:
        await self._change(request, response, identifier)

    async def _change(self, request: Request, response: Response, identifier: str) -> None:
        inbound = self.receive(request, response)
        body = await read_body(request)
        await endpoints.change(self.front, inbound, response, request.method, identifier, body)


class Explain(_Resource):
    """/v1/explain"""

    async def on_post(self, request: Request, response: Response) -> None:
        inbound = self.receive(request, response)
        body = await read_body(request)
        await payments.explain(self.front, inbound, request, response, body)


class TopologyView(_Resource):
    """/v1/topology: what a client may know of the world."""

    async def on_get(self, request: Request, response: Response) -> None:
        self.receive(request, response, public=True)
        front = self.front
        topology = front.world.topology
        verdicts = front.verdicts_by_name()
        json_answer(
            response,
            {
                "object": "topology",
                "epoch": topology.epoch,
                "nodes": [
                    {
                        "number": node.number,
                        "name": node.name,
                        "title": node.title,
                        "url": node.url,
                        "usage": verdicts[node.name],
                    }
                    for node in topology.nodes
                ],
                "jurisdictions": [
                    {
                        "places": rule.places,
                        "nodes": [node.name for node in rule.nodes],
                        "residency": rule.residency,
                        "evidence": rule.evidence,
                    }
                    for rule in topology.rules
                ],
                "groups": {name: sorted(places) for name, places in topology.groups.items()},
            },
        )


class Callbacks:
    """/v1/nodes/{node}/callbacks/{gateway}: from providers, who prove themselves by signature."""

    def __init__(self, front: Front) -> None:
        self.front = front

    async def on_post(
        self, request: Request, response: Response, node_name: str, gateway: str
    ) -> None:
        request_id = new_request_id()
        response.set_header("request-id", request_id)
        topology = self.front.world.topology
        node = topology.node_named(node_name)
        if node is None and node_name.isascii() and node_name.isdigit() and len(node_name) < 6:
            node = topology.by_number.get(int(node_name))
        if node is None or not _GATEWAY.fullmatch(gateway):
            raise falcon.HTTPRouteNotFound
        body = await read_body(request)
        target = b"/v1/callbacks/" + gateway.encode("ascii")
        query: bytes = request.scope["query_string"]
        if query:
            target += b"?" + query
        lines = callback_lines(request, request_id)
        try:
            answer = await self.front.client(node).request("POST", target, lines, body)
        except HopError as error:
            raise payments.unreachable(node, error, "POST", True) from None
        self.front.board.observe(node.number, answer.headers.get(b"bailiwick-usage"))
        payments.give(response, answer)


class Status:
    """/healthz, /readyz, /usage and /metrics"""

    def __init__(self, front: Front) -> None:
        self.front = front

    async def on_get(self, request: Request, response: Response) -> None:
        json_answer(response, {"status": "ok"})

    async def on_get_ready(self, request: Request, response: Response) -> None:
        front = self.front
        answering = front.board.answering()
        verdicts = front.verdicts_by_name()
        ready = bool(answering)
        json_answer(
            response,
            {
                "status": "ready" if ready else "no node answers",
                "epoch": front.world.epoch,
                "nodes": verdicts,
                "open": sorted(name for name, verdict in verdicts.items() if verdict == OPEN),
                "world": front.current.freshness().shown(),
                "world_problem": front.current.problem,
            },
            200 if ready else 503,
        )

    async def on_get_usage(self, request: Request, response: Response) -> None:
        """Every node's usage state, for operators."""
        topology = self.front.world.topology
        names = {node.number: node.name for node in topology.nodes}
        nodes = shown(self.front.board, names)
        json_answer(response, {"object": "usage", "epoch": topology.epoch, "nodes": nodes})

    async def on_get_metrics(self, request: Request, response: Response) -> None:
        response.content_type = CONTENT_TYPE
        response.data = self.front.metrics.render()


class _Count:
    """Counts answers by route template, never by path."""

    def __init__(self, front: Front) -> None:
        self._requests = front.metrics.requests

    async def process_response(
        self, request: Request, response: Response, resource: object, req_succeeded: bool
    ) -> None:
        key = (request.method, request.uri_template or "other", response.status_code)
        self._requests[key] += 1


def build(front: Front) -> Any:
    """The ASGI application."""
    app: Any = falcon.asgi.App(middleware=[_Count(front)])
    install_errors(app)
    payment = Payment(front)
    status = Status(front)
    hooks = WebhookEndpoints(front)
    app.add_route("/v1/payment_intents", Payments(front))
    app.add_route("/v1/payment_intents/{identifier}", payment)
    app.add_route("/v1/payment_intents/{identifier}/{action}", payment, suffix="action")
    app.add_route("/v1/refunds", Refunds(front))
    app.add_route("/v1/refunds/{identifier}", Updatable(front, "re_", "refund"))
    app.add_route("/v1/charges/{identifier}", ById(front, "ch_", "charge"))
    app.add_route("/v1/events", Events(front))
    app.add_route("/v1/events/{identifier}", ById(front, "evt_", "event"))
    app.add_route("/v1/webhook_endpoints", hooks)
    app.add_route("/v1/webhook_endpoints/{identifier}", hooks, suffix="one")
    app.add_route("/v1/explain", Explain(front))
    app.add_route("/v1/topology", TopologyView(front))
    app.add_route("/v1/nodes/{node_name}/callbacks/{gateway}", Callbacks(front))
    app.add_route("/healthz", status)
    app.add_route("/readyz", status, suffix="ready")
    app.add_route("/usage", status, suffix="usage")
    app.add_route("/metrics", status, suffix="metrics")
    return app
