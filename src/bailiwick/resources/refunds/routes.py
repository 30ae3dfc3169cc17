"""Refunds over HTTP."""

from collections.abc import Iterable

from bailiwick.base.errors import ApiError
from bailiwick.base.objects import Object
from bailiwick.base.tenancy import own
from bailiwick.interlink.paging import Room
from bailiwick.orders import attempt_store
from bailiwick.resources.balance import stored as balance
from bailiwick.resources.payments.placing import keep_all
from bailiwick.resources.payments.stored import check_owned
from bailiwick.resources.payments.stored import find as find_payment
from bailiwick.resources.refunds import RESOURCE, render, stored
from bailiwick.resources.refunds.commands import Refunds
from bailiwick.resources.refunds.params import (
    UNDONE_CREATE,
    CancelRefund,
    CreateRefund,
    ListRefunds,
    UpdateRefund,
)
from bailiwick.resources.refunds.rows import Refund
from bailiwick.serving import lists
from bailiwick.serving.context import NodeContext
from bailiwick.serving.lists import Listed
from bailiwick.serving.params import Retrieve
from bailiwick.serving.route import Mounted, Reader, Request, Response, Route
from bailiwick.topology.merchants import Principal
from bailiwick.wire.forms import Params, struct_from


class RefundList(Route):
    """/v1/refunds"""

    def __init__(self, node: NodeContext) -> None:
        super().__init__(node)
        self._refunds = Refunds(node.machine)

    async def on_post(self, request: Request, response: Response) -> None:
        """Refund."""
        asked, wish = await self.identified(
            request, RESOURCE, CreateRefund, "refund", "", UNDONE_CREATE
        )
        await self.answer(response, asked, lambda: self._refunds.create(asked, wish))

    async def on_get(self, request: Request, response: Response) -> None:
        """A page of refunds."""
        await lists.answer(self.node, request, response, page)


class RefundItem(Reader):
    """/v1/refunds/{identifier}"""

    def __init__(self, node: NodeContext) -> None:
        super().__init__(node, retrieve)
        self._refunds = Refunds(node.machine)

    async def on_post(self, request: Request, response: Response, identifier: str) -> None:
        """Update the metadata."""
        asked, wish = await self.identified(
            request, RESOURCE, UpdateRefund, "update_refund", identifier
        )
        await self.answer(response, asked, lambda: self._refunds.update(asked, identifier, wish))


class CancelItem(Route):
    """/v1/refunds/{identifier}/cancel"""

    def __init__(self, node: NodeContext) -> None:
        super().__init__(node)
        self._refunds = Refunds(node.machine)

    async def on_post(self, request: Request, response: Response, identifier: str) -> None:
        """Cancel."""
        asked, _ = await self.identified(
            request, RESOURCE, CancelRefund, "cancel_refund", identifier
        )
        await self.answer(response, asked, lambda: self._refunds.cancel(asked, identifier))


async def retrieve(node: NodeContext, who: Principal, identifier: str, params: Params) -> Object:
    """GET /v1/refunds/{id}"""
    node.expansion.wished(struct_from(params, Retrieve).expand, RESOURCE.object)
    row = own(await stored.find(node.store, identifier), who, "refund", identifier)
    owner = await find_payment(node.store, row.payment)
    assert owner is not None, "a refund is one of a payment"
    moved = await balance.of(node.store, [row.payment])
    return {**render.refund(row, owner), **_moved_by(moved.get(row.id, []))}


def _moved_by(transactions: list[str]) -> Object:
    """What a refund did to the balance: when it was paid, and when that came back."""
    taken, returned, *_ = [*transactions, None, None]
    return {"balance_transaction": taken, "failure_balance_transaction": returned}


async def page(
    node: NodeContext, who: Principal, params: Params, region: int, room: Room
) -> Listed:
    """GET /v1/refunds"""
    query = struct_from(params, ListRefunds)
    fill = lists.filling(node, query, RESOURCE, who, region)
    of = await _payment_of(node, who, query)
    part = await lists.page_of(node, who, query, RESOURCE, room, here=of is not None)
    found, following = await stored.page(node.store, who.merchant.id, who.livemode, part, of)
    await keep_all(node, region, {row.payment for row, _ in found})
    moved = await balance.of(node.store, (row.payment for row, _ in found))

    def shown(row: tuple[Refund, str | None]) -> Object:
        return {**render.refund_of(*row), **_moved_by(moved.get(row[0].id, []))}

    return await lists.paged(
        query,
        RESOURCE,
        room,
        found,
        following,
        shown,
        lambda row: row[0].id,
        fill,
    )


async def _payment_of(node: NodeContext, who: Principal, query: ListRefunds) -> str | None:
    """The payment whose refunds are wanted; None: of all.

    Raises:
        ApiError: 404, there is none such; 400, the charge is another payment's.
    """
    wanted = query.payment_intent
    if wanted is not None:
        await check_owned(node.store, who, wanted)
    if query.charge is None:
        return wanted
    attempt = own(
        await attempt_store.find(node.store, query.charge),
        who,
        "charge",
        query.charge,
        param="charge",
    )
    if attempt.operation != "charge":
        raise ApiError.missing("charge", query.charge, param="charge")
    if wanted not in (None, attempt.subject):
        raise ApiError.invalid("This charge is not one of that payment_intent.", param="charge")
    return attempt.subject


async def _its_payment(node: NodeContext, who: Principal, identifier: str) -> str | None:
    refund = await stored.find(node.store, identifier)
    return None if refund is None else refund.payment


PAYMENT_OF = {"re": _its_payment}
"""By the prefix of an id, how the payment is found that an object belongs to."""


def routes(node: NodeContext) -> Iterable[Mounted]:
    """Where refunds are served."""
    yield "/v1/refunds", RefundList(node), ""
    yield "/v1/refunds/{identifier}", RefundItem(node), ""
    yield "/v1/refunds/{identifier}/cancel", CancelItem(node), ""
