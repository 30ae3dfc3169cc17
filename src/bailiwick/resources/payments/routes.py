"""Payments over HTTP: read, check, hand to who decides, answer."""

import functools
import hmac
from collections.abc import Iterable, Set
from typing import Any

from bailiwick.admission.load import overloaded
from bailiwick.base.errors import ApiError
from bailiwick.base.objects import Object
from bailiwick.base.tenancy import Owner, own
from bailiwick.idempotency.requests import Answer, IdempotentRequest
from bailiwick.interlink import admission_query
from bailiwick.interlink.paging import Room
from bailiwick.resources.payments import RESOURCE, placing, render, stored
from bailiwick.resources.payments.commands import Payments
from bailiwick.resources.payments.create import PaymentCreation
from bailiwick.resources.payments.holds.expiry import Holds
from bailiwick.resources.payments.methods.params import check_token
from bailiwick.resources.payments.params import (
    UNDONE_INCREMENT,
    CancelPayment,
    CapturePayment,
    ConfirmPayment,
    CreatePayment,
    IncrementPayment,
    ListPayments,
    RetrievePayment,
    UpdatePayment,
    bound,
    refuse_unsupported,
)
from bailiwick.resources.payments.rows import Payment
from bailiwick.resources.payments.search import SEARCHED, PaymentSearch
from bailiwick.runtime import trace
from bailiwick.serving import lists, route
from bailiwick.serving.context import NodeContext
from bailiwick.serving.expansion import LOADED_BYTES_MAX
from bailiwick.serving.lists import Listed
from bailiwick.serving.route import NOTHING, Mounted, Request, Response, Route, check_expand
from bailiwick.store.database import Store
from bailiwick.topology.merchants import Principal
from bailiwick.wire.forms import Params, struct_from

_CAN_ASK = admission_query.CAN_ASK.lower()
PAYERS_ATTEMPTS_MAX = 10
"""Attempts of a payment after which a publishable key may try no more: a stolen list of cards is
tried out so. The merchant's secret key still may."""


class PaymentIntents(Route):
    """/v1/payment_intents"""

    def __init__(self, node: NodeContext) -> None:
        super().__init__(node)
        self._creation = PaymentCreation(
            node.machine, node.refusals.secret, node.configurations, node.screener
        )

    async def on_post(self, request: Request, response: Response) -> None:
        """Create, and confirm at once if asked to: the hot path."""
        node = self.node
        invited = request.headers.get(_CAN_ASK)
        if invited == admission_query.MAY_ASK and node.load.refusal(seen_room=True) == "overloaded":
            response.status = 503  # nothing was read of it; refused by key, it costs a tenth
            response.set_header(admission_query.FULL_UP, "1")
            return
        who = route.principal(request, node)
        params, wish = await route.checked(request, CreatePayment)
        refuse_unsupported(wish)
        asked = route.asked(request, who, "create", "", params, wish.expand)
        self.node.expansion.wished(wish.expand, RESOURCE.object)
        trace.mark("read")
        otherwise: placing.Otherwise = placing.asked_for_another(node, request)
        if otherwise is not None:
            await self._not_here(response, asked, otherwise)
            return
        location = placing.located(node, who, wish.location)
        trace.mark("located")
        assignment, otherwise = placing.placed(node, request, asked, wish, location)
        trace.mark("assigned")
        if otherwise is not None:
            await self._not_here(response, asked, otherwise)
            return

        async def work() -> Answer:
            return await self._creation.create(asked, wish, location, assignment)

        async def shed(reason: str) -> Answer:
            if reason == "overloaded" and (bound(wish) or not assignment.goes_on):
                raise overloaded()
            with node.load.tombstone():
                return await node.machine.tombstones.refuse(asked, reason)

        await self.answer(response, asked, work, shed, seen_room=invited is not None)

    async def _not_here(
        self, response: Response, asked: IdempotentRequest, why: str | ApiError
    ) -> None:
        """The request is not for this node to take, but what it knows of the key it tells."""
        await self.answer(response, asked, lambda: placing.refused_here(self.node, asked, why))

    async def on_get(self, request: Request, response: Response) -> None:
        """A page of payments."""
        await lists.answer(self.node, request, response, page)


class PaymentIntent(Route):
    """/v1/payment_intents/{identifier}"""

    def __init__(self, node: NodeContext) -> None:
        super().__init__(node)
        self._payments = Payments(node.machine, node.refusals.secret, node.screener)

    async def on_get(self, request: Request, response: Response, identifier: str) -> None:
        """Retrieve; a publishable key needs the client secret."""
        who = route.principal(request, self.node, public=True)
        params = route.query(request)
        found = await payment(self.node, who, identifier, params)
        await route.show(self.node, request, response, who, found)

    async def on_post(self, request: Request, response: Response, identifier: str) -> None:
        """Update."""
        who = route.principal(request, self.node)
        params, wish = await route.checked(request, UpdatePayment)
        check_token(wish.payment_method_data, wish.payment_method)
        self.node.expansion.wished(wish.expand, RESOURCE.object)
        asked = route.asked(request, who, "update", identifier, params, wish.expand)
        await self.answer(response, asked, lambda: self._payments.update(asked, identifier, wish))

    async def on_post_confirm(self, request: Request, response: Response, identifier: str) -> None:
        """Confirm; a payer's browser may, with the client secret."""
        node = self.node
        who = route.principal(request, node, public=True)
        params, wish = await route.parameters(request, ConfirmPayment)
        public = who.kind != "secret"
        if public or wish.client_secret is not None:
            await check_client_secret(node, who, identifier, wish.client_secret)
        route.check_cards(params)
        _check_expand(node, wish.expand, public=public)
        refuse_unsupported(wish)
        asked = route.asked(request, who, "confirm", identifier, params, wish.expand)
        place = None if wish.location is None else placing.located(node, who, wish.location)
        elsewhere = None if place is None else placing.elsewhere(node, place)
        work = functools.partial(
            self._payments.confirm,
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
        asked, wish = await self.identified(
            request, RESOURCE, CapturePayment, "capture", identifier
        )
        await self.answer(response, asked, lambda: self._payments.capture(asked, identifier, wish))

    async def on_post_increment_authorization(
        self, request: Request, response: Response, identifier: str
    ) -> None:
        """Have more held."""
        asked, wish = await self.identified(
            request, RESOURCE, IncrementPayment, "increment", identifier, UNDONE_INCREMENT
        )
        work = functools.partial(self._payments.increment_authorization, asked, identifier, wish)
        await self.answer(response, asked, work)

    async def on_post_cancel(self, request: Request, response: Response, identifier: str) -> None:
        """Cancel."""
        asked, wish = await self.identified(request, RESOURCE, CancelPayment, "cancel", identifier)
        await self.answer(response, asked, lambda: self._payments.cancel(asked, identifier, wish))


async def page(
    node: NodeContext, who: Principal, params: Params, region: int, room: Room
) -> Listed:
    """GET /v1/payment_intents; ``region``: to whose access process the answer goes."""
    query = struct_from(params, ListPayments)
    fill = lists.filling(node, query, RESOURCE, who, region)
    part = await lists.page_of(node, who, query, RESOURCE, room)
    found, following = await stored.page(
        node.store, who.merchant.id, who.livemode, part, query.customer
    )
    placing.keep(node, region, (row.details.assignment for row in found))
    return await lists.paged(
        query,
        RESOURCE,
        room,
        found,
        following,
        render.payment_intent,
        lambda row: row.id,
        fill,
    )


async def _itself(node: NodeContext, who: Principal, identifier: str) -> str:
    return identifier


PAYMENT_OF = {"pi": _itself}
"""By the prefix of an id, how the payment is found that an object belongs to."""


TASKS = {"holds": Holds}
"""What is done without anybody asking."""


def routes(node: NodeContext) -> Iterable[Mounted]:
    """Where payments are served."""
    intent = PaymentIntent(node)
    yield "/v1/payment_intents", PaymentIntents(node), ""
    yield SEARCHED.path, PaymentSearch(node, SEARCHED), ""
    yield "/v1/payment_intents/{identifier}", intent, ""
    for verb in ("confirm", "capture", "increment_authorization", "cancel"):
        yield f"/v1/payment_intents/{{identifier}}/{verb}", intent, verb


async def load(store: Store, who: Owner, region: int, identifiers: Set[str]) -> dict[str, Object]:
    """Payments by their ids, as ``expand`` shows them; see ``serving.expansion.Load``."""
    rows = await store.rows("payment_some", sorted(identifiers), LOADED_BYTES_MAX)
    found = [stored.payment_of(row) for row in rows]
    return {it.id: render.payment_intent(it) for it in found if placing.seen(it, who, region)}


LOADS = {"payment_intent": load}


def _check_expand(node: NodeContext, expand: list[str], *, public: bool) -> None:
    """Refuse what cannot be expanded; with a publishable key, anything. Raises ApiError (400)."""
    if public:
        check_expand(expand, NOTHING)
    node.expansion.wished(expand, RESOURCE.object)


async def _owned(node: NodeContext, who: Principal, identifier: str) -> Payment:
    return own(await stored.find(node.store, identifier), who, "payment_intent", identifier)


async def check_client_secret(
    node: NodeContext, who: Principal, identifier: str, secret: str | None
) -> Payment:
    """A publishable key opens a payment only together with its client secret.

    Raises:
        ApiError: 404 for a wrong secret too, so that ids cannot be tried out.
    """
    payment = await _owned(node, who, identifier)
    given = (secret or "").encode("utf-8", "replace")
    if not hmac.compare_digest(payment.details.client_secret.encode(), given):
        raise ApiError.missing("payment_intent", identifier)
    return payment


async def payment(node: NodeContext, who: Principal, identifier: str, params: Params) -> Any:
    """GET /v1/payment_intents/{id}"""
    query = struct_from(params, RetrievePayment)
    public = who.kind != "secret"
    if public or query.client_secret is not None:
        found = await check_client_secret(node, who, identifier, query.client_secret)
    else:
        found = await _owned(node, who, identifier)
    _check_expand(node, query.expand, public=public)
    return render.payment_intent(found, public=public)
