"""What an access process tells: to load balancers on the public listener, to operators on one of
its own (``status_listen``). Node names, epochs, usage states and counts are for operators alone.
"""

from typing import Any

import falcon.asgi

from bailiwick.access.front import Front
from bailiwick.access.nodes.node_monitor import shown
from bailiwick.interlink.usage_report import OPEN
from bailiwick.runtime.telemetry import CONTENT_TYPE
from bailiwick.wire.answers import install_errors, json_answer

Request = falcon.asgi.Request
Response = falcon.asgi.Response


class Liveness:
    """/healthz and /readyz, as anybody may see them."""

    def __init__(self, front: Front) -> None:
        self.front = front

    async def on_get_health(self, request: Request, response: Response) -> None:
        """The process lives."""
        json_answer(response, {"status": "ok"})

    async def on_get_ready(self, request: Request, response: Response) -> None:
        """Whether any node answers; a load balancer needs no more."""
        word, status = self.readiness()
        json_answer(response, {"status": word}, status)

    def readiness(self) -> tuple[str, int]:
        """The word for it and the status code."""
        return ("ready", 200) if self.front.node_monitor.answering() else ("no node answers", 503)


class Status(Liveness):
    """The same for operators, with /usage and /metrics."""

    async def on_get_ready(self, request: Request, response: Response) -> None:
        """Whether any node answers, which are open, and by which world this process goes."""
        front = self.front
        verdicts = front.verdicts_by_name()
        word, status = self.readiness()
        json_answer(
            response,
            {
                "status": word,
                "epoch": front.world.epoch,
                "nodes": verdicts,
                "open": sorted(name for name, verdict in verdicts.items() if verdict == OPEN),
                "world": front.current.freshness().shown(),
                "world_problem": front.current.problem,
            },
            status,
        )

    async def on_get_usage(self, request: Request, response: Response) -> None:
        """Every node's usage state with its history."""
        topology = self.front.world.topology
        names = {node.number: node.name for node in topology.nodes}
        nodes = shown(self.front.node_monitor, names)
        json_answer(response, {"object": "usage", "epoch": topology.epoch, "nodes": nodes})

    async def on_get_metrics(self, request: Request, response: Response) -> None:
        """Prometheus metrics."""
        response.content_type = CONTENT_TYPE
        response.data = self.front.metrics.render()


def build_status(front: Front) -> Any:
    """The application of ``status_listen``."""
    app: Any = falcon.asgi.App()
    install_errors(app)
    status = Status(front)
    app.add_route("/healthz", status, suffix="health")
    app.add_route("/readyz", status, suffix="ready")
    app.add_route("/usage", status, suffix="usage")
    app.add_route("/metrics", status, suffix="metrics")
    return app
