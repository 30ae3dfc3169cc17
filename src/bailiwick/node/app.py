"""The node's HTTP routes: read, check, hand to the script, answer."""

import functools
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import falcon
import falcon.asgi
import msgspec
import structlog

from bailiwick.admission.load import Overloaded, overloaded
from bailiwick.base import canary
from bailiwick.base.errors import ApiError
from bailiwick.idempotency.requests import Answer, IdempotentRequest, Refused
from bailiwick.interlink import admission_query, regional
from bailiwick.interlink.refusals import NO_GATEWAY, stored
from bailiwick.node import inbound, metrics
from bailiwick.node.bulk_admission import BulkAdmission
from bailiwick.node.canary import Canary
from bailiwick.node.delivery.endpoints import EndpointItem, EndpointList
from bailiwick.node.explain import Explain
from bailiwick.node.operations import Operations, Usage, refuse_if_superseded
from bailiwick.node.payments import listing, reading, render, residency
from bailiwick.node.payments.request_params import (
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
from bailiwick.runtime import timing
from bailiwick.runtime.database_errors import DATABASE_ERRORS
from bailiwick.wire.answers import error_answer, install_errors, json_answer
from bailiwick.wire.forms import Params
from bailiwick.wire.protocol import read_body

Request = falcon.asgi.Request
Response = falcon.asgi.Response
T = TypeVar("T", bound=msgspec.Struct)
log = structlog.get_logger()

PAYERS_ATTEMPTS_MAX = 10
"""Attempts of a payment after which a publishable key may try no more: a stolen list of cards is
tried out so. The merchant's secret key still may."""


class Route:
    """What all routes share: admission, the usage report, refusals."""

    def __init__(self, node: Node) -> None:
        self.node = node

    async def answer(
        self,
        response: Response,
        asked: IdempotentRequest,
        work: Callable[[], Awaitable[Answer]],
        shed: Callable[[str], Awaitable[Answer]] | None = None,
        *,
        seen_room: bool = False,
    ) -> None:
        """Do an idempotent request once and answer it.

        ``shed``: for new payments, what to do instead when ``Load.refusal`` says why.
        """
        load = self.node.load

        async def admitted() -> Answer:
            if shed is None:
                load.check_reserve()
            elif (reason := load.refusal(seen_room=seen_room)) is not None:
                return await shed(reason)
            with load.working(new=shed is not None):
                return await work()

        failed = False
        try:
            answer = await self.node.keys.once(asked, admitted)
        except Refused as refused:
            self._refuse(response, asked, refused.reason)
            return
        except ApiError as error:
            ours = not isinstance(error, Overloaded) and error.code != NO_GATEWAY
            failed = error.status >= 500 and ours
            raise
        except Exception:
            failed = True
            raise
        finally:
            load.ended(failed)
        response.status = answer.status
        response.content_type = "application/json"
        response.data = bytes(answer.body)
        if answer.replayed:
            response.set_header("Idempotent-Replayed", "true")
        if answer.status >= 400:
            response.set_header("Stripe-Should-Retry", "false")

    def _refuse(self, response: Response, asked: IdempotentRequest, reason: str) -> None:
        """A tombstone is committed: the answer carries the proof."""
        node, said = self.node, stored(reason, self.node.world.epoch)
        metrics.REFUSED.labels(reason=said.reason).inc()
        error = ApiError.unavailable(
            f"Node '{node.settings.name}' refused this payment ({said.reason}) and will not take "
            "this key again: it may be sent to another node.",
            code=f"node_{said.reason}",
        )
        error_answer(response, error)
        token = node.refusals.token(node.number, said, asked.named)
        response.set_header("Bailiwick-Refusal", token)

    async def read(self, request: Request, kind: type[T]) -> tuple[Params, T]:
        """The body's parameters, raw and typed."""
        return await inbound.checked(request, kind)


class PaymentIntents(Route):
    """/v1/payment_intents"""

    async def on_post(self, request: Request, response: Response) -> None:
        """Create, and confirm at once if asked to: the hot path."""
        node = self.node
        invited = request.get_header(admission_query.CAN_ASK)
        if invited == admission_query.MAY_ASK and node.load.refusal(seen_room=True) == "overloaded":
            response.status = 503  # nothing was read of it; refused by key, it costs a tenth
            response.set_header(admission_query.FULL_UP, "1")
            return
        who = inbound.principal(request, node)
        params, wish = await self.read(request, CreatePayment)
        refuse_unsupported(wish)
        asked = inbound.asked(request, who, "create", "", params, wish.expand)
        reading.check_expand(wish.expand, reading.OF_PAYMENT)
        timing.mark("read")
        otherwise: inbound.Otherwise = inbound.asked_for_another(node, request)
        if otherwise is not None:
            await self._not_here(response, asked, otherwise)
            return
        location = inbound.located(node, who, wish.location)
        timing.mark("located")
        assignment, otherwise = inbound.placed(node, request, asked, wish, location)
        timing.mark("assigned")
        if otherwise is not None:
            await self._not_here(response, asked, otherwise)
            return

        async def work() -> Answer:
            return await node.creation.create(asked, wish, location, assignment)

        async def shed(reason: str) -> Answer:
            if reason == "overloaded" and not assignment.goes_on:
                raise overloaded()
            with node.load.tombstone():
                return await node.tombstones.refuse(asked, reason)

        await self.answer(response, asked, work, shed, seen_room=invited is not None)

    async def _not_here(
        self, response: Response, asked: IdempotentRequest, why: str | ApiError
    ) -> None:
        """The request is not for this node to take, but what it knows of the key it tells."""
        node = self.node

        async def work() -> Answer:
            if isinstance(why, str):
                with node.load.tombstone():
                    return await node.tombstones.refuse(asked, why)
            replayed = await node.keys.replay(asked)
            if replayed is None:
                raise why
            return replayed

        await self.answer(response, asked, work)

    async def on_get(self, request: Request, response: Response) -> None:
        """A page of payments."""
        await listing.answer(self.node, request, response, listing.payments)


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
        params, wish = await inbound.parameters(request, ConfirmPayment)
        public = who.kind != "secret"
        if public or wish.client_secret is not None:
            await reading.check_client_secret(node, who, identifier, wish.client_secret)
        inbound.check_cards(params)
        reading.check_expand(wish.expand, reading.PUBLIC if public else reading.OF_PAYMENT)
        refuse_unsupported(wish)
        asked = inbound.asked(request, who, "confirm", identifier, params, wish.expand)
        place = None if wish.location is None else inbound.located(node, who, wish.location)
        elsewhere = None if place is None else reading.elsewhere(node, place)
        work = functools.partial(
            node.payments.confirm,
            asked,
            identifier,
            wish,
            elsewhere,
            attempts_max=PAYERS_ATTEMPTS_MAX if public else None,
        )
        await self.answer(response, asked, work)
        if public and response.data is not None:
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
        await listing.answer(self.node, request, response, listing.refunds)


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


class Events(Route):
    """/v1/events"""

    async def on_get(self, request: Request, response: Response) -> None:
        """A page of events."""
        await listing.answer(self.node, request, response, listing.events)


class Reader(Route):
    """A GET of one thing: ``reading`` has the functions."""

    def __init__(self, node: Node, read: Callable[..., Awaitable[Any]]) -> None:
        super().__init__(node)
        self._read = read

    async def on_get(self, request: Request, response: Response, **named: str) -> None:
        """Retrieve."""
        who = inbound.principal(request, self.node)
        params = inbound.query(request)
        json_answer(response, await self._read(self.node, who, *named.values(), params))


class Residency(Route):
    """/internal/residency/{identifier}: whether what access is asked about may leave the region."""

    async def on_get(self, request: Request, response: Response, identifier: str) -> None:
        """A yes or no; 404 for what is not the asker's."""
        who = inbound.principal(request, self.node, public=True)
        owner = await residency.owner(self.node, who, identifier)
        stays = residency.must_stay(owner, inbound.region(request))
        json_answer(response, regional.Stays(stays))


class Callback(Route):
    """/v1/callbacks/{gateway}: providers come here."""

    async def on_post(self, request: Request, response: Response, gateway: str) -> None:
        """Take a provider's callback."""
        refuse_if_superseded(self.node)
        body = await read_body(request)
        headers = {name.lower(): value for name, value in request.headers.items()}
        try:
            done = await self.node.callbacks.take(gateway, headers, body)
        except ApiError as error:
            metrics.CALLBACKS.labels(outcome=str(error.status)).inc()
            raise
        metrics.CALLBACKS.labels(outcome=done.replace(" ", "_")).inc()
        json_answer(response, {"received": True})


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
    intents, intent = PaymentIntents(node), PaymentIntent(node)
    operations = Operations(node)
    app.add_route("/v1/payment_intents", intents)
    app.add_route("/v1/payment_intents/{identifier}", intent)
    for verb in ("confirm", "capture", "cancel"):
        app.add_route(f"/v1/payment_intents/{{identifier}}/{verb}", intent, suffix=verb)
    app.add_route("/v1/refunds", Refunds(node))
    app.add_route("/v1/refunds/{identifier}", Refund(node))
    app.add_route("/v1/charges/{identifier}", Reader(node, reading.charge))
    app.add_route("/v1/events", Events(node))
    app.add_route("/v1/events/{identifier}", Reader(node, reading.event))
    app.add_route("/v1/webhook_endpoints", EndpointList(node))
    app.add_route("/v1/webhook_endpoints/{identifier}", EndpointItem(node))
    app.add_route("/v1/explain", Explain(node))
    app.add_route("/v1/callbacks/{gateway}", Callback(node))
    app.add_route("/healthz", operations, suffix="health")
    app.add_route("/readyz", operations, suffix="ready")
    app.add_route("/usage", operations, suffix="usage")
    app.add_route("/usage/gateways", operations, suffix="gateways")
    app.add_route("/metrics", operations, suffix="metrics")
    app.add_route(admission_query.PATH, BulkAdmission(node))
    app.add_route(f"{regional.PATH}{{identifier}}", Residency(node))
    app.add_route(canary.PATH, Canary(node))
    app.add_route("/internal/crash", operations, suffix="crash")
    return app
