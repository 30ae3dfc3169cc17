"""The routes of access: a Falcon application over one ``Front``."""

import re
from collections.abc import Iterator
from typing import Any

import falcon.asgi
import msgspec

from bailiwick import resources
from bailiwick.access import browser, served, world_view
from bailiwick.access.front import Front
from bailiwick.access.inbound import callback_lines, receive
from bailiwick.access.nodes.forward import HopError
from bailiwick.access.nodes.hop import client_of, give, unreachable
from bailiwick.access.payments import Explain
from bailiwick.access.status import Liveness
from bailiwick.base.ids import new_request_id
from bailiwick.openapi import document
from bailiwick.topology.parts import Node
from bailiwick.wire.answers import install_errors, json_answer
from bailiwick.wire.forms import parse_form, struct_from
from bailiwick.wire.nearest import Nearest
from bailiwick.wire.protocol import read_body

Request = falcon.asgi.Request
Response = falcon.asgi.Response

EXPLAIN, TOPOLOGY = "/v1/explain", "/v1/topology"
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Nothing(msgspec.Struct, frozen=True):
    """GET /v1/topology and /openapi.json"""


class TopologyView:
    """/v1/topology: what a client may know of the world."""

    def __init__(self, front: Front) -> None:
        self.front = front
        self._for_browsers = world_view.ForBrowsers()

    async def on_get(self, request: Request, response: Response) -> None:
        inbound = receive(self.front, request, response, public=True)
        struct_from(parse_form(request.scope["query_string"]), Nothing)
        front = self.front
        topology = front.world.topology
        who = inbound.principal
        if who.kind == "secret" and who.grants is None:
            shown = world_view.for_servers(topology, front.verdicts_by_name())
            json_answer(response, shown)
        else:
            response.content_type = "application/json"
            response.data = self._for_browsers.written(topology)

    async def on_options(self, request: Request, response: Response) -> None:
        browser.preflight(response, "GET")


class Description:
    """/openapi.json: the API's description of itself, the same for everybody."""

    async def on_get(self, request: Request, response: Response) -> None:
        struct_from(parse_form(request.scope["query_string"]), Nothing)
        response.content_type = "application/json"
        response.data = document.written()
        response.set_header("cache-control", "public, max-age=300")
        response.set_header("access-control-allow-origin", "*")


class Callbacks:
    """/v1/nodes/{node}/callbacks/{gateway}: from providers, who prove themselves by signature."""

    def __init__(self, front: Front) -> None:
        self.front = front

    async def on_post(
        self, request: Request, response: Response, node_name: str, gateway: str
    ) -> None:
        request_id = new_request_id()
        response.set_header("request-id", request_id)
        node = _node(self.front, node_name)
        if not _NAME.fullmatch(gateway):
            raise falcon.HTTPRouteNotFound
        body = await read_body(request)
        target = _target(b"/v1/callbacks/", gateway, request)
        lines = callback_lines(request, request_id)
        try:
            answer = await client_of(self.front, node).request("POST", target, lines, body)
        except HopError as error:
            raise unreachable(node, error, "POST", True) from None
        self.front.node_monitor.observe(node.number, answer.headers.get(b"bailiwick-usage"))
        give(response, answer)


class Returns:
    """/v1/nodes/{node}/returns/{attempt}: payers come back here, with what their charge needs."""

    def __init__(self, front: Front) -> None:
        self.front = front

    async def on_get(
        self, request: Request, response: Response, node_name: str, attempt: str
    ) -> None:
        request_id = new_request_id()
        response.set_header("request-id", request_id)
        node = _node(self.front, node_name)
        if not _NAME.fullmatch(attempt):
            raise falcon.HTTPRouteNotFound
        target = _target(b"/v1/returns/", attempt, request)
        line = b"request-id: %b\r\n" % request_id.encode("ascii")
        try:
            answer = await client_of(self.front, node).request("GET", target, [line])
        except HopError as error:
            raise unreachable(node, error, "GET", True) from None
        self.front.node_monitor.observe(node.number, answer.headers.get(b"bailiwick-usage"))
        give(response, answer)
        for name in ("location", "cache-control", "referrer-policy"):
            value = answer.headers.get(name.encode("ascii"))
            if value is not None:
                response.set_header(name, value.decode("latin-1"))


def _node(front: Front, name: str) -> Node:
    """A node by its name or number. Raises falcon.HTTPRouteNotFound."""
    topology = front.world.topology
    node = topology.node_named(name)
    if node is None and name.isascii() and name.isdigit() and len(name) < 6:
        node = topology.by_number.get(int(name))
    if node is None:
        raise falcon.HTTPRouteNotFound
    return node


def _target(before: bytes, name: str, request: Request) -> bytes:
    target = before + name.encode("ascii")
    query: bytes = request.scope["query_string"]
    return target + b"?" + query if query else target


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
    liveness = Liveness(front)
    served.mount(app, front, resources.every())
    app.add_route(EXPLAIN, Explain(front))
    app.add_route(TOPOLOGY, TopologyView(front))
    app.add_route(document.PATH, Description())
    app.add_route("/v1/nodes/{node_name}/callbacks/{gateway}", Callbacks(front))
    app.add_route("/v1/nodes/{node_name}/returns/{attempt}", Returns(front))
    app.add_route("/healthz", liveness, suffix="health")
    app.add_route("/readyz", liveness, suffix="ready")
    install_errors(app, Nearest(_routes()))
    return app


def _routes() -> Iterator[tuple[str, str]]:
    """Method and template of all that is served to clients."""
    yield "POST", EXPLAIN
    yield "GET", TOPOLOGY
    for each in resources.every():
        for path in each.paths:
            for method in path.methods:
                yield method, path.template
