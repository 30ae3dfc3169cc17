"""The node's HTTP routes: read, check, hand to the script, answer."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import asyncpg
import falcon
import falcon.asgi
import msgspec
import structlog

from bailiwick.base.errors import ApiError
from bailiwick.node import inbound, metrics, reading, render
from bailiwick.node.endpoints import EndpointItem, EndpointList
from bailiwick.node.idempotency import Answer, Asked, Refused
from bailiwick.node.requests import (
    CancelPayment,
    CapturePayment,
    ConfirmPayment,
    CreatePayment,
    CreateRefund,
    UpdatePayment,
    UpdateRefund,
    refuse_unsupported,
)
from bailiwick.node.service import Node
from bailiwick.node.writing import wanted
from bailiwick.shell import crash, timing, trace
from bailiwick.shell.answers import error_answer, install_errors, json_answer
from bailiwick.shell.forms import Params, struct_from
from bailiwick.shell.http import read_body

Request = falcon.asgi.Request
Response = falcon.asgi.Response
T = TypeVar("T", bound=msgspec.Struct)
log = structlog.get_logger()


class Route:
    """What all routes share: admission, the usage report, refusals."""

    def __init__(self, node: Node) -> None:
        self.node = node

    async def answer(
        self, response: Response, asked: Asked, work: Callable[[], Awaitable[Answer]]
    ) -> None:
        """Do an idempotent request once and answer it."""
        load = self.node.load
        load.inflight += 1
        failed = False
        try:
            answer = await self.node.payments.keys.once(asked, work)
        except Refused as refused:
            self._refuse(response, asked, refused.reason)
            return
        except ApiError as error:
            failed = error.status >= 500
            raise
        except Exception:
            failed = True
            raise
        finally:
            load.inflight -= 1
            load.ended(failed)
        response.status = answer.status
        response.content_type = "application/json"
        response.data = bytes(answer.body)
        if answer.replayed:
            response.set_header("Idempotent-Replayed", "true")
        if answer.status >= 400:
            response.set_header("Stripe-Should-Retry", "false")

    def _refuse(self, response: Response, asked: Asked, reason: str) -> None:
        """A tombstone is committed: the answer carries the proof."""
        node = self.node
        token = node.refusals.token(node.number, node.world.epoch, reason, asked)
        metrics.REFUSED.labels(reason=reason).inc()
        error = ApiError.unavailable(
            f"Node '{node.settings.name}' refused this payment ({reason}) and will not take "
            "this key again: it may be sent to another node.",
            code=f"node_{reason}",
        )
        error_answer(response, error)
        response.set_header("Bailiwick-Refusal", token)

    async def read(self, request: Request, kind: type[T]) -> tuple[Params, T]:
        """The body's parameters, raw and typed."""
        params = await inbound.parameters(request)
        return params, struct_from(params, kind)


class PaymentIntents(Route):
    """/v1/payment_intents"""

    async def on_post(self, request: Request, response: Response) -> None:
        """Create, and confirm at once if asked to: the hot path."""
        node = self.node
        who = inbound.principal(request, node)
        params, wish = await self.read(request, CreatePayment)
        refuse_unsupported(wish)
        asked = inbound.asked(request, who, "create", "", params, wish.expand)
        reading.check_expand(wish.expand, reading.OF_PAYMENT)
        timing.mark("read")
        location = inbound.located(node, who, wish.location)
        timing.mark("located")
        assignment = inbound.assigned(node, request, asked, location, moves=wish.confirm)
        timing.mark("assigned")

        async def work() -> Answer:
            reason = node.load.refusal()
            if reason is not None:
                return await node.payments.refuse(asked, reason)
            return await node.payments.create(asked, wish, location, assignment)

        await self.answer(response, asked, work)

    async def on_get(self, request: Request, response: Response) -> None:
        """A page of payments."""
        who = inbound.principal(request, self.node)
        json_answer(response, await reading.payments(self.node, who, inbound.query(request)))


class PaymentIntent(Route):
    """/v1/payment_intents/{identifier}"""

    async def on_get(self, request: Request, response: Response, identifier: str) -> None:
        """Retrieve; a publishable key needs the client secret."""
        who = inbound.principal(request, self.node, public=True)
        params = inbound.query(request)
        json_answer(response, await reading.payment(self.node, who, identifier, params))

    async def on_post(self, request: Request, response: Response, identifier: str) -> None:
        """Update."""
        who = inbound.principal(request, self.node)
        params, wish = await self.read(request, UpdatePayment)
        reading.check_expand(wish.expand, reading.OF_PAYMENT)
        asked = inbound.asked(request, who, "update", identifier, params, wish.expand)
        payments = self.node.payments
        await self.answer(response, asked, lambda: payments.update(asked, identifier, wish))

    async def on_post_confirm(self, request: Request, response: Response, identifier: str) -> None:
        """Confirm; a payer's browser may, with the client secret."""
        node = self.node
        who = inbound.principal(request, node, public=True)
        params, wish = await self.read(request, ConfirmPayment)
        reading.check_expand(wish.expand, reading.OF_PAYMENT)
        refuse_unsupported(wish)
        asked = inbound.asked(request, who, "confirm", identifier, params, wish.expand)
        if who.kind != "secret":
            await reading.check_client_secret(node, who, identifier, wish.client_secret)
        elsewhere = None
        if wish.location is not None:
            location = inbound.located(node, who, wish.location)
            elsewhere = reading.elsewhere(node, location)
        payments = node.payments
        await self.answer(
            response, asked, lambda: payments.confirm(asked, identifier, wish, elsewhere)
        )
        if who.kind != "secret" and response.data is not None:
            response.data = render.public(response.data)

    async def on_post_capture(self, request: Request, response: Response, identifier: str) -> None:
        """Capture."""
        who = inbound.principal(request, self.node)
        params, wish = await self.read(request, CapturePayment)
        reading.check_expand(wish.expand, reading.OF_PAYMENT)
        asked = inbound.asked(request, who, "capture", identifier, params, wish.expand)
        payments = self.node.payments
        await self.answer(response, asked, lambda: payments.capture(asked, identifier, wish))

    async def on_post_cancel(self, request: Request, response: Response, identifier: str) -> None:
        """Cancel."""
        who = inbound.principal(request, self.node)
        params, wish = await self.read(request, CancelPayment)
        reading.check_expand(wish.expand, reading.OF_PAYMENT)
        asked = inbound.asked(request, who, "cancel", identifier, params, wish.expand)
        payments = self.node.payments
        await self.answer(response, asked, lambda: payments.cancel(asked, identifier, wish))


class Refunds(Route):
    """/v1/refunds"""

    async def on_post(self, request: Request, response: Response) -> None:
        """Refund."""
        who = inbound.principal(request, self.node)
        params, wish = await self.read(request, CreateRefund)
        reading.check_expand(wish.expand, reading.OF_REFUND)
        asked = inbound.asked(request, who, "refund", "", params, wish.expand)
        payments = self.node.payments
        await self.answer(response, asked, lambda: payments.refund(asked, wish))

    async def on_get(self, request: Request, response: Response) -> None:
        """A page of refunds."""
        who = inbound.principal(request, self.node)
        json_answer(response, await reading.refunds(self.node, who, inbound.query(request)))


class Refund(Route):
    """/v1/refunds/{identifier}"""

    async def on_get(self, request: Request, response: Response, identifier: str) -> None:
        """Retrieve."""
        who = inbound.principal(request, self.node)
        params = inbound.query(request)
        json_answer(response, await reading.refund(self.node, who, identifier, params))

    async def on_post(self, request: Request, response: Response, identifier: str) -> None:
        """Update the metadata."""
        who = inbound.principal(request, self.node)
        params, wish = await self.read(request, UpdateRefund)
        asked = inbound.asked(request, who, "update_refund", identifier, params, wish.expand)
        payments = self.node.payments
        await self.answer(response, asked, lambda: payments.update_refund(asked, identifier, wish))


class Reader(Route):
    """A GET of one thing or a list: ``reading`` has the functions."""

    def __init__(self, node: Node, read: Callable[..., Awaitable[Any]]) -> None:
        super().__init__(node)
        self._read = read

    async def on_get(self, request: Request, response: Response, **named: str) -> None:
        """Retrieve or list."""
        who = inbound.principal(request, self.node)
        params = inbound.query(request)
        json_answer(response, await self._read(self.node, who, *named.values(), params))


class Explain(Route):
    """/v1/explain: where a payment would go, by the functions that payments use."""

    async def on_post(self, request: Request, response: Response) -> None:
        """Explain; nothing is written."""
        node = self.node
        who = inbound.principal(request, node)
        params, wish = await self.read(request, CreatePayment)
        asked = inbound.asked(request, who, "create", "", params, [])
        location = inbound.located(node, who, wish.location)
        moves = request.get_header("Bailiwick-Passed-Over") is None
        assignment = inbound.assigned(node, request, asked, location, moves=moves)
        payment = node.payments.draft(asked, wish, location, assignment)
        routing = node.gateways.match(wanted(payment, who.merchant.strategy))
        document = {
            "object": "explanation",
            "location": payment.details.location,
            "assignment": payment.details.assignment,
            "node": node.settings.name,
            "node_usage": node.load.usage(node.world.epoch),
            "routing": routing,
        }
        json_answer(response, document)


class Callback(Route):
    """/v1/callbacks/{gateway}: providers come here."""

    async def on_post(self, request: Request, response: Response, gateway: str) -> None:
        """Take a provider's callback."""
        body = await read_body(request)
        headers = {name.lower(): value for name, value in request.headers.items()}
        try:
            done = await self.node.callbacks.take(gateway, headers, body)
        except ApiError as error:
            metrics.CALLBACKS.labels(outcome=str(error.status)).inc()
            raise
        metrics.CALLBACKS.labels(outcome=done.replace(" ", "_")).inc()
        json_answer(response, {"received": True})


class Operations(Route):
    """/healthz, /readyz, /usage, /metrics and, in tests, /internal/crash."""

    async def on_get_health(self, request: Request, response: Response) -> None:
        """The process lives."""
        json_answer(response, {"status": "ok"})

    async def on_get_ready(self, request: Request, response: Response) -> None:
        """The node can take payments."""
        problems = self.node.ready()
        status = 503 if problems else 200
        shown = {"status": "not ready" if problems else "ready", "problems": problems}
        json_answer(response, shown, status)

    async def on_get_usage(self, request: Request, response: Response) -> None:
        """The usage state, as access asks for it."""
        json_answer(response, self.node.load.usage(self.node.world.epoch))

    async def on_get_metrics(self, request: Request, response: Response) -> None:
        """Prometheus metrics."""
        response.content_type = metrics.CONTENT_TYPE
        response.data = metrics.render(self.node)

    async def on_post_crash(self, request: Request, response: Response) -> None:
        """Arm a crash point; refused unless the process was started for that."""
        wish = await inbound.parameters(request)
        try:
            crash.arm(str(wish.get("point")), int(wish.get("nth", "1")))
        except PermissionError as error:
            raise ApiError.forbidden(str(error)) from None
        json_answer(response, {"armed": wish.get("point")})


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


class Usage:
    """Middleware: the usage report and the request id ride on every answer; traces go on."""

    def __init__(self, node: Node) -> None:
        self._node = node

    async def process_request(self, request: Request, response: Response) -> None:
        """Follow the request's trace."""
        trace.follow(request.get_header("traceparent"))
        if request.get_header("Bailiwick-Timing") is not None:
            timing.begin()

    async def process_response(
        self, request: Request, response: Response, resource: object, succeeded: bool
    ) -> None:
        """Set the headers."""
        node = self._node
        response.set_header("Bailiwick-Usage", node.load.header(node.world.epoch))
        steps = timing.header()
        if steps is not None:
            response.set_header("Server-Timing", steps)
        identifier = request.get_header("request-id")
        if identifier is not None:
            response.set_header("request-id", identifier[:64])


def build(node: Node) -> falcon.asgi.App[Any, Any]:
    """The node's application."""
    app = falcon.asgi.App(middleware=[Usage(node)])
    install_errors(app)
    for fault in (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError):
        app.add_error_handler(fault, _database_silent)
    intents, intent = PaymentIntents(node), PaymentIntent(node)
    operations = Operations(node)
    app.add_route("/v1/payment_intents", intents)
    app.add_route("/v1/payment_intents/{identifier}", intent)
    for verb in ("confirm", "capture", "cancel"):
        app.add_route(f"/v1/payment_intents/{{identifier}}/{verb}", intent, suffix=verb)
    app.add_route("/v1/refunds", Refunds(node))
    app.add_route("/v1/refunds/{identifier}", Refund(node))
    app.add_route("/v1/charges/{identifier}", Reader(node, reading.charge))
    app.add_route("/v1/events", Reader(node, reading.events))
    app.add_route("/v1/events/{identifier}", Reader(node, reading.event))
    app.add_route("/v1/webhook_endpoints", EndpointList(node))
    app.add_route("/v1/webhook_endpoints/{identifier}", EndpointItem(node))
    app.add_route("/v1/explain", Explain(node))
    app.add_route("/v1/callbacks/{gateway}", Callback(node))
    app.add_route("/healthz", operations, suffix="health")
    app.add_route("/readyz", operations, suffix="ready")
    app.add_route("/usage", operations, suffix="usage")
    app.add_route("/metrics", operations, suffix="metrics")
    app.add_route("/internal/crash", operations, suffix="crash")
    return app
