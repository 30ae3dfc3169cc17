"""Balances and balance transactions over HTTP."""

from collections.abc import Iterable, Set

from bailiwick.base.errors import ApiError
from bailiwick.base.ids import is_id
from bailiwick.base.objects import Object
from bailiwick.base.tenancy import Owner
from bailiwick.interlink.paging import Room
from bailiwick.ledger.movements import MOVEMENTS
from bailiwick.resources.balance import RESOURCE, render, stored
from bailiwick.resources.balance.params import ListBalanceTransactions, RetrieveBalance
from bailiwick.resources.balance.stored import BalanceTransaction
from bailiwick.resources.payments.placing import keep_all
from bailiwick.serving import lists, route
from bailiwick.serving.context import NodeContext
from bailiwick.serving.lists import Listed
from bailiwick.serving.params import Retrieve
from bailiwick.serving.route import NOTHING, Mounted, Reader, Request, Response, Route
from bailiwick.store.database import Store
from bailiwick.topology.merchants import Principal
from bailiwick.wire.forms import Params, struct_from


class BalanceTransactionList(Route):
    """/v1/balance_transactions"""

    async def on_get(self, request: Request, response: Response) -> None:
        """A page of balance transactions."""
        await lists.answer(self.node, request, response, page)


async def read_balance(node: NodeContext, who: Principal, params: Params) -> Object:
    """GET /v1/balance: this node's part of it."""
    route.check_expand(struct_from(params, RetrieveBalance).expand, NOTHING)
    sums = await stored.balances(node.store, who.merchant.id, who.livemode)
    return render.balance(sums, who.livemode)


async def retrieve(node: NodeContext, who: Principal, identifier: str, params: Params) -> Object:
    """GET /v1/balance_transactions/{id}"""
    route.check_expand(struct_from(params, Retrieve).expand, NOTHING)
    row = await _own(node, who, identifier)
    if row is None:
        raise ApiError.missing("balance_transaction", identifier)
    return render.balance_transaction(row)


async def page(
    node: NodeContext, who: Principal, params: Params, region: int, room: Room
) -> Listed:
    """GET /v1/balance_transactions"""
    query = struct_from(params, ListBalanceTransactions)
    lists.wishes(query, NOTHING)
    if query.payout is not None:
        raise ApiError.invalid(
            "payout is not supported: no payout here says which transactions it pays out.",
            param="payout",
            code="parameter_unsupported",
        )
    part = await lists.page_of(node, who, query, RESOURCE, room)
    found, following = await stored.page(
        node.store,
        who.merchant.id,
        who.livemode,
        part,
        currency=None if query.currency is None else query.currency.upper(),
        kind=None if query.type is None else _kind(query.type),
        source=query.source,
    )
    await keep_all(node, region, {row.subject for row in found})
    return await lists.paged(
        query, RESOURCE, room, found, following, render.balance_transaction, lambda row: row.id
    )


def _kind(name: str) -> tuple[str, int]:
    """The object and the sign of the movements of a type. Raises ApiError (400)."""
    types = {each.type for each in MOVEMENTS.values() if each.type}
    found = {(each.about, each.sign) for each in MOVEMENTS.values() if each.type == name}
    if not found:
        raise ApiError.invalid(
            f"Invalid type: there are transactions of the types {', '.join(sorted(types))}.",
            param="type",
        )
    ((about, sign), *others) = found
    return about, 0 if others else sign  # an adjustment may go either way


async def _own(node: NodeContext, who: Principal, identifier: str) -> BalanceTransaction | None:
    if not is_id(identifier, "txn"):
        return None
    return await stored.find(node.store, identifier, who.merchant.id, who.livemode)


async def load(store: Store, who: Owner, region: int, identifiers: Set[str]) -> dict[str, Object]:
    """Balance transactions by their ids, as ``expand`` shows them; see ``serving.expansion.Load``.
    They belong to what names them, which is shown already."""
    found: dict[str, Object] = {}
    for each in identifiers:
        row = await stored.find(store, each, who.merchant.id, who.livemode)
        if row is not None:
            found[each] = render.balance_transaction(row)
    return found


LOADS = {"balance_transaction": load}


async def _its_payment(node: NodeContext, who: Principal, identifier: str) -> str | None:
    row = await _own(node, who, identifier)
    return None if row is None else row.subject


PAYMENT_OF = {"txn": _its_payment}
"""By the prefix of an id, how the payment is found that an object belongs to."""


def routes(node: NodeContext) -> Iterable[Mounted]:
    """Where balances are served."""
    yield "/v1/balance", Reader(node, read_balance), ""
    yield "/v1/balance_transactions", BalanceTransactionList(node), ""
    yield "/v1/balance_transactions/{identifier}", Reader(node, retrieve), ""
