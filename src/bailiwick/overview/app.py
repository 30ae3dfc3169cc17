"""The overview's HTTP routes: questions of operators, read only."""

from collections.abc import Awaitable, Callable
from typing import Any

import falcon
import falcon.asgi

from bailiwick.base.clock import now_ms
from bailiwick.base.errors import ApiError
from bailiwick.overview import questions
from bailiwick.overview.service import Overview
from bailiwick.runtime import telemetry
from bailiwick.runtime.database_errors import DATABASE_ERRORS
from bailiwick.runtime.telemetry import CONTENT_TYPE, Metrics
from bailiwick.wire.answers import error_answer, install_errors, json_answer
from bailiwick.wire.forms import Params, parse_form

Request = falcon.asgi.Request
Response = falcon.asgi.Response
log = telemetry.logger()


class Question:
    """A GET that operators may ask."""

    def __init__(self, overview: Overview, ask: Callable[..., Awaitable[Any]]) -> None:
        self._overview = overview
        self._ask = ask

    async def on_get(self, request: Request, response: Response, **named: str) -> None:
        """Answer an operator. Raises ApiError (401) to anybody else."""
        scheme, _, token = (request.get_header("Authorization") or "").partition(" ")
        if scheme.lower() != "bearer" or not self._overview.knows(token.strip()):
            raise ApiError.unauthorized(
                "Operators only: send the token as 'Authorization: Bearer ...'."
            )
        json_answer(response, await self._ask(*named.values(), _query(request)))


def _query(request: Request) -> Params:
    return parse_form(request.query_string.encode("latin-1")) if request.query_string else {}


class Operations:
    """/healthz, /readyz and /metrics, for whoever watches the process."""

    def __init__(self, overview: Overview) -> None:
        self._overview = overview
        metrics = self._metrics = Metrics()
        self._events = metrics.gauge("overview_events", "Events taken, all of them.")
        self._read = metrics.gauge(
            "overview_read", "Events read since the start, by what became of them.", ["outcome"]
        )
        self._pending = metrics.gauge("overview_pending", "Messages that wait at the broker.")
        self._gaps = metrics.gauge("overview_gaps", "Payments of which an event is missing.")
        self._duplicates = metrics.gauge(
            "overview_duplicate_keys", "Keys with payments at more than one node."
        )
        self._forks = metrics.gauge("overview_forks", "Places of payments with two events.")
        self._lag = metrics.gauge(
            "overview_relay_lag_seconds", "Age of the oldest event a relay has not sent.", ["node"]
        )
        self._heard = metrics.gauge(
            "overview_relay_heard_seconds", "Seconds since a relay has reported.", ["node"]
        )
        self._up = metrics.gauge("overview_connected", "1 while the broker answers.")

    async def on_get_health(self, request: Request, response: Response) -> None:
        """The process lives."""
        json_answer(response, {"status": "ok"})

    async def on_get_ready(self, request: Request, response: Response) -> None:
        """It can be asked. Without the broker it answers with what it knows, and says so."""
        problems = self._overview.problems()
        ready = self._overview.database_answers
        shown = {"status": "ready" if ready else "not ready", "problems": problems}
        json_answer(response, shown, 200 if ready else 503)

    async def on_get_metrics(self, request: Request, response: Response) -> None:
        """Prometheus metrics."""
        overview, reader = self._overview, self._overview.reader
        self._events.set(overview.counts["events"])
        for outcome in ("taken", "repeated", "rejected"):
            self._read.labels(outcome=outcome).set(getattr(reader, outcome))
        self._pending.set(reader.pending)
        self._gaps.set(overview.counts["gaps"])
        self._duplicates.set(overview.counts["duplicates"])
        self._forks.set(overview.counts["forks"])
        self._up.set(overview.bus.connected)
        now = now_ms()
        for number, heard in list(reader.heard.items()):
            oldest = heard.report.oldest_ms
            lag_ms = heard.report.at_ms - oldest if oldest else 0
            self._lag.labels(node=str(number)).set(max(0, lag_ms) / 1000)
            self._heard.labels(node=str(number)).set(max(0, now - heard.at_ms) / 1000)
        response.content_type = CONTENT_TYPE
        response.data = self._metrics.render()


async def _database_silent(
    request: Request, response: Response, error: Exception, params: dict[str, Any]
) -> None:
    log.warning("database_silent", error=error, route=request.uri_template)
    text = "The overview's database does not answer in time. Ask again, or for less."
    error_answer(response, ApiError.unavailable(text, code="database_unavailable"))


def build(overview: Overview) -> falcon.asgi.App[Any, Any]:
    """The overview's application."""
    app = falcon.asgi.App()
    install_errors(app)
    for fault in DATABASE_ERRORS:
        app.add_error_handler(fault, _database_silent)
    database, reader = overview.database, overview.reader

    async def lag(params: Params) -> Any:
        return await questions.lag(database, reader, overview.bus.connected, params)

    def asked(ask: Callable[..., Awaitable[Any]]) -> Question:
        return Question(overview, lambda *given: ask(database, *given))

    app.add_route("/overview/payments", asked(questions.payments))
    app.add_route("/overview/payments/{identifier}", asked(questions.payment))
    app.add_route("/overview/totals", asked(questions.totals))
    app.add_route("/overview/duplicates", asked(questions.duplicates))
    app.add_route("/overview/lag", Question(overview, lag))
    operations = Operations(overview)
    app.add_route("/healthz", operations, suffix="health")
    app.add_route("/readyz", operations, suffix="ready")
    app.add_route("/metrics", operations, suffix="metrics")
    return app
