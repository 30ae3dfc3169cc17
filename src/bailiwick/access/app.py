"""The routes of access: a Falcon application over one ``Front``."""

import re
from typing import Any

import falcon.asgi

from bailiwick.access import browser, world_view
from bailiwick.access.fanout import endpoints, lists
from bailiwick.access.forward import HopError
from bailiwick.access.front import Front
from bailiwick.access.hop import client_of, give, require_region, send_home, unreachable
from bailiwick.access.inbound import Inbound, callback_lines, receive, target_of
from bailiwick.access.payments import Explain, Payments
from bailiwick.access.status import Liveness
from bailiwick.base.errors import ApiError
from bailiwick.base.ids import new_request_id
from bailiwick.topology.topology import Node
from bailiwick.wire.answers import install_errors, json_answer
from bailiwick.wire.forms import parse_body
from bailiwick.wire.protocol import read_body

Request = falcon.asgi.Request
Response = falcon.asgi.Response

_GATEWAY = re.compile(r"[A-Za-z0-9_-]{1,64}")
_PAYMENT_ACTIONS = frozenset({"confirm", "capture", "cancel"})


class _Resource:
    """Base of routes that need an API key."""

    def __init__(self, front: Front) -> None:
        self.front = front

    async def to_node(
        self, request: Request, response: Response, node: Node, inbound: Inbound, identifier: str
    ) -> None:
        """Forward as it is, to the node of what the request is about."""
        await require_region(self.front, node, inbound, identifier)
        body = b"" if request.method == "GET" else await read_body(request)
        target = target_of(request)
        answer = await send_home(self.front, node, inbound, request.method, target, body)
        give(response, answer)


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

    async def on_options(self, request: Request, response: Response, identifier: str) -> None:
        browser.preflight(response, "GET", "POST")

    async def on_options_action(
        self, request: Request, response: Response, identifier: str, action: str
    ) -> None:
        if action not in _PAYMENT_ACTIONS:
            raise falcon.HTTPRouteNotFound
        if action == "confirm":
            browser.preflight(response, "POST")
        else:
            response.set_header("allow", "POST, OPTIONS")

    async def _forward(
        self, request: Request, response: Response, identifier: str, *, public: bool = False
    ) -> None:
        inbound = receive(self.front, request, response, public=public)
        node = self.front.node_for(identifier, "pi_", "payment_intent")
        await self.to_node(request, response, node, inbound, identifier)


class Refunds(_Resource):
    """/v1/refunds"""

    async def on_post(self, request: Request, response: Response) -> None:
        inbound = receive(self.front, request, response)
        body = await read_body(request)
        node, identifier = self._node(parse_body(request.content_type, body))
        await require_region(self.front, node, inbound, identifier)
        target = target_of(request)
        answer = await send_home(self.front, node, inbound, "POST", target, body)
        give(response, answer)

    async def on_get(self, request: Request, response: Response) -> None:
        await lists.list_all(self.front, receive(self.front, request, response), request, response)

    def _node(self, params: dict[str, Any]) -> tuple[Node, str]:
        """The node of the payment or charge to refund, and its id. Raises ApiError (400, 404)."""
        found: tuple[Node, str] | None = None
        for name, prefix in (("payment_intent", "pi_"), ("charge", "ch_")):
            identifier = params.get(name)
            if not identifier:
                continue
            if not isinstance(identifier, str):
                raise ApiError.invalid(f"Invalid string in {name}.", param=name)
            node = self.front.node_for(identifier, prefix, name, param=name)
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
        inbound = receive(self.front, request, response)
        node = self.front.node_for(identifier, self._prefix, self._kind)
        await self.to_node(request, response, node, inbound, identifier)


class Updatable(ById):
    """The same with POST."""

    async def on_post(self, request: Request, response: Response, identifier: str) -> None:
        await self.on_get(request, response, identifier)


class Events(_Resource):
    """/v1/events"""

    async def on_get(self, request: Request, response: Response) -> None:
        await lists.list_all(self.front, receive(self.front, request, response), request, response)


class WebhookEndpoints(_Resource):
    """/v1/webhook_endpoints"""

    async def on_post(self, request: Request, response: Response) -> None:
        inbound = receive(self.front, request, response)
        await endpoints.create(self.front, inbound, response, await read_body(request))

    async def on_get(self, request: Request, response: Response) -> None:
        inbound = receive(self.front, request, response)
        query = request.scope["query_string"]
        await endpoints.read(self.front, inbound, response, None, query)

    async def on_get_one(self, request: Request, response: Response, identifier: str) -> None:
        inbound = receive(self.front, request, response)
        query = request.scope["query_string"]
        await endpoints.read(self.front, inbound, response, identifier, query)

    async def on_post_one(self, request: Request, response: Response, identifier: str) -> None:
        await self._change(request, response, identifier)

    async def on_delete_one(self, request: Request, response: Response, identifier: str) -> None:
        await self._change(request, response, identifier)

    async def _change(self, request: Request, response: Response, identifier: str) -> None:
        inbound = receive(self.front, request, response)
        body = await read_body(request)
        await endpoints.change(self.front, inbound, response, request.method, identifier, body)


class TopologyView(_Resource):
    """/v1/topology: what a client may know of the world."""

    def __init__(self, front: Front) -> None:
        super().__init__(front)
        self._for_browsers = world_view.ForBrowsers()

    async def on_get(self, request: Request, response: Response) -> None:
        inbound = receive(self.front, request, response, public=True)
        front = self.front
        topology = front.world.topology
        if inbound.principal.kind == "secret":
            shown = world_view.for_servers(topology, front.verdicts_by_name())
            json_answer(response, shown)
        else:
            response.content_type = "application/json"
            response.data = self._for_browsers.written(topology)

    async def on_options(self, request: Request, response: Response) -> None:
        browser.preflight(response, "GET")


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
            answer = await client_of(self.front, node).request("POST", target, lines, body)
        except HopError as error:
            raise unreachable(node, error, "POST", True) from None
        self.front.node_monitor.observe(node.number, answer.headers.get(b"bailiwick-usage"))
        give(response, answer)


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
    liveness = Liveness(front)
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
    app.add_route("/healthz", liveness, suffix="health")
    app.add_route("/readyz", liveness, suffix="ready")
    return app
