"""The node's HTTP routes: those of the resources, of operators, and of providers."""

from typing import Any

import falcon.asgi
import structlog

from bailiwick.base import canary
from bailiwick.base.errors import ApiError
from bailiwick.base.tenancy import own
from bailiwick.interlink import admission_query, copies, gateway_commands, regional
from bailiwick.node import metrics, returns
from bailiwick.node.bulk_admission import BulkAdmission
from bailiwick.node.canary import Canary
from bailiwick.node.copies import Copies
from bailiwick.node.explain import Explain
from bailiwick.node.gateways.routes import GatewayOrders
from bailiwick.node.operations import Operations, Usage, refuse_if_superseded
from bailiwick.node.service import Node
from bailiwick.records import records
from bailiwick.records.record import stays
from bailiwick.resources import declared, every, modules
from bailiwick.resources.payments import placing
from bailiwick.runtime.database_errors import DATABASE_ERRORS
from bailiwick.serving import route
from bailiwick.serving.route import Request, Response, Route
from bailiwick.wire.answers import error_answer, install_errors, json_answer
from bailiwick.wire.protocol import read_body

log = structlog.get_logger()


class Residency(Route):
    """/internal/residency/{identifier}: whether what access is asked about may leave the region."""

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        self._payment_of: dict[str, Any] = {}
        for each in declared("PAYMENT_OF", "routes"):
            self._payment_of |= each
        self._staying: dict[str, Any] = {}
        for each in declared("STAYING", "routes"):
            self._staying |= each

    async def on_get(self, request: Request, response: Response, identifier: str) -> None:
        """A yes or no; 404 for what is not the asker's."""
        who = route.principal(request, self.node, public=True)
        find = self._payment_of.get(identifier.partition("_")[0])
        of = None if find is None else await find(self.node, who, identifier)
        if of is None:
            raise ApiError.missing("object", identifier)
        region, store = route.region(request), self.node.store
        other = self._staying.get(of.partition("_")[0])
        kind = self.node.machine.kinds.known(of)
        if kind is not None and other is None:
            order = await kind.find(store, of)
            must_stay = placing.must_stay(own(order, who, "object", identifier), region)
        else:
            found = await (records.find(store, of) if other is None else other(self.node, of))
            must_stay = stays(own(found, who, "object", identifier), region)
        json_answer(response, regional.Stays(must_stay))


class Callback:
    """/v1/callbacks/{gateway}: providers come here."""

    def __init__(self, node: Node) -> None:
        self.node = node

    async def on_post(self, request: Request, response: Response, gateway: str) -> None:
        """Take a provider's callback."""
        refuse_if_superseded(self.node)
        body = await read_body(request)
        headers = {name.lower(): value for name, value in request.headers.items()}
        query = request.scope["query_string"].decode("latin-1")
        try:
            done = await self.node.callbacks.take(gateway, headers, body, query)
        except ApiError as error:
            metrics.CALLBACKS.labels(outcome=str(error.status)).inc()
            raise
        metrics.CALLBACKS.labels(outcome=done.replace(" ", "_")).inc()
        profile = self.node.gateways.profile_of(gateway)
        assert profile is not None, "what is of no gateway is not taken"
        said = profile.acknowledgement
        response.status = said.status
        if said.body:
            response.content_type = said.content_type
            response.data = said.body


async def _database_silent(
    request: Request, response: Response, error: Exception, params: dict[str, Any]
) -> None:
    """The database is away: nothing was decided, so the same request may come again."""
    log.warning("database_silent", error=error, route=request.uri_template)
    error_answer(
        response,
        ApiError.unavailable(
            "The node's database does not answer. Retry with the same Idempotency-Key.",
            code="database_unavailable",
        ),
    )


def install_database_errors(app: falcon.asgi.App[Any, Any]) -> None:
    """Answer 503 while the database does not answer."""
    for fault in DATABASE_ERRORS:
        app.add_error_handler(fault, _database_silent)


def build(node: Node) -> falcon.asgi.App[Any, Any]:
    """The node's application."""
    app = falcon.asgi.App(middleware=[Usage(node)])
    install_errors(app)
    install_database_errors(app)
    operations = Operations(node)
    for resource in modules("routes"):
        for template, served, suffix in resource.routes(node):
            app.add_route(template, served, suffix=suffix or None)
    for of in every():
        for template, served, _ in route.refusals(node, of):
            app.add_route(template, served)
    app.add_route("/v1/explain", Explain(node))
    app.add_route("/v1/callbacks/{gateway}", Callback(node))
    app.add_route(returns.ROUTE, returns.Returns(node))
    app.add_route("/healthz", operations, suffix="health")
    app.add_route("/readyz", operations, suffix="ready")
    app.add_route("/usage", operations, suffix="usage")
    app.add_route("/usage/gateways", operations, suffix="gateways")
    app.add_route("/metrics", operations, suffix="metrics")
    app.add_route(admission_query.PATH, BulkAdmission(node))
    app.add_route(copies.PATH, Copies(node))
    app.add_route(f"{regional.PATH}{{identifier}}", Residency(node))
    app.add_route(canary.PATH, Canary(node))
    app.add_route(gateway_commands.PATH, GatewayOrders(node))
    app.add_route("/internal/crash", operations, suffix="crash")
    return app
