"""What operators and access ask of a node: liveness, readiness, usage states, metrics.

And what rides on every answer: the usage report and the request id.
"""

import falcon.asgi
import msgspec

from bailiwick.base.clock import now_ms
from bailiwick.base.errors import ApiError
from bailiwick.interlink.authenticate import authenticate
from bailiwick.node import metrics
from bailiwick.node.service import Node
from bailiwick.runtime import crash, trace
from bailiwick.serving import route
from bailiwick.wire.answers import json_answer

Request = falcon.asgi.Request
Response = falcon.asgi.Response


def refuse_if_superseded(node: Node) -> None:
    """Answer nothing where another process serves this node: what is here may be out of date.

    Raises:
        ApiError: 503, with the address of the other.
    """
    url = node.superseded_by
    if url is not None:
        error = ApiError.unavailable(
            f"Node '{node.settings.name}' is served at {url} now. Retry with the same "
            "Idempotency-Key.",
            code="node_superseded",
        )
        error.extra = {"url": url, "epoch": node.world.epoch}
        raise error


class Operations:
    """/healthz, /readyz, /usage, /metrics and, in tests, /internal/crash."""

    def __init__(self, node: Node) -> None:
        self.node = node

    async def on_get_health(self, request: Request, response: Response) -> None:
        """The process lives."""
        json_answer(response, {"status": "ok"})

    async def on_get_ready(self, request: Request, response: Response) -> None:
        """The node can take payments."""
        problems = self.node.ready()
        status = 503 if problems else 200
        shown = {
            "status": "not ready" if problems else "ready",
            "problems": problems,
            "world": self.node.current.freshness().shown(),
        }
        json_answer(response, shown, status)

    async def on_get_ready_or_not(self, request: Request, response: Response) -> None:
        """The same for whoever is not to know what is wrong."""
        ready = not self.node.ready()
        json_answer(response, {"status": "ready" if ready else "not ready"}, 200 if ready else 503)

    async def on_get_usage(self, request: Request, response: Response) -> None:
        """The usage state, as access asks for it, and this node's time."""
        response.set_header("Bailiwick-Clock", str(now_ms()))
        json_answer(response, self.node.load.usage(self.node.world.epoch))

    async def on_get_gateways(self, request: Request, response: Response) -> None:
        """Each gateway's usage state, for operators: since when, why, and its last changes."""
        shown = []
        for gateway in self.node.gateways.all():
            history = gateway.noted()
            shown.append(
                {
                    "name": gateway.name,
                    "state": history.state,
                    "usage": gateway.usage,
                    "since_ms": history.since_ms,
                    "preparations": gateway.preparations.shown(),
                    "health": gateway.health.shown(),
                    "changes": history.changes,
                }
            )
        json_answer(response, {"object": "gateway_usage", "gateways": shown})

    async def on_get_metrics(self, request: Request, response: Response) -> None:
        """Prometheus metrics."""
        response.content_type = metrics.CONTENT_TYPE
        response.data = metrics.render(self.node)

    async def on_post_crash(self, request: Request, response: Response) -> None:
        """Arm a crash point; refused unless the process was started for that."""
        _, wish = await route.parameters(request, Armed)
        try:
            crash.arm(wish.point, wish.nth, wish.how)
        except PermissionError as error:
            raise ApiError.forbidden(str(error)) from None
        except ValueError as error:
            raise ApiError.invalid(str(error), param="how") from None
        json_answer(response, {"armed": wish.point})


class Armed(msgspec.Struct, frozen=True):
    """POST /internal/crash: at which pass of which point the process ends, and how."""

    point: str
    nth: int = 1
    how: str = "kill"


class Usage:
    """Middleware: the usage report and the request id ride on every answer; traces go on."""

    def __init__(self, node: Node) -> None:
        self._node = node

    async def process_request(self, request: Request, response: Response) -> None:
        """Count the request, shed it unread where too many are open, follow its trace."""
        headers = request.headers
        if request.path.startswith("/v1/"):
            self._node.load.open += 1
            self._node.load.check_open()
            refuse_if_superseded(self._node)
            await self._turn(request, headers.get("authorization"))
        elif request.path.startswith("/internal/"):
            refuse_if_superseded(self._node)
        trace.follow(headers.get("traceparent"))
        if "bailiwick-timing" in headers:
            trace.begin_timing()

    async def _turn(self, request: Request, header: str | None) -> None:
        """Wait for the turn of whoever asks; who is nobody is told so by the route, at once. Who
        it is, is read but once: the route finds it in the request's context.

        Raises:
            ApiError: 429, this is read later; what is written is refused where its key is known.
        """
        try:
            who = authenticate(header, self._node.world.merchants, public=True)
        except ApiError:
            return
        load = self._node.load
        request.context.who = who
        request.context.turn = await load.turn(who.merchant.id)
        if request.method == "GET":
            load.check_turn()

    async def process_response(
        self, request: Request, response: Response, resource: object, succeeded: bool
    ) -> None:
        """Set the headers."""
        node = self._node
        if request.path.startswith("/v1/"):
            node.load.open -= 1
            turn = getattr(request.context, "turn", None)
            if turn is not None:
                turn.end()
        response.set_header("Bailiwick-Usage", node.load.header(node.world.epoch))
        steps = trace.timing_header()
        if steps is not None:
            response.set_header("Server-Timing", steps)
        identifier = request.headers.get("request-id")
        if identifier is not None:
            response.set_header("request-id", identifier[:64])
