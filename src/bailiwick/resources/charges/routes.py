"""Charges over HTTP."""

from collections.abc import Iterable, Mapping, Sequence, Set

from bailiwick.base.errors import ApiError
from bailiwick.base.objects import Object
from bailiwick.base.tenancy import Owner, own
from bailiwick.interlink.paging import Room
from bailiwick.orders import attempt_store
from bailiwick.resources.balance import stored as balance
from bailiwick.resources.charges import RESOURCE, stored
from bailiwick.resources.charges.commands import Charges
from bailiwick.resources.charges.params import UNDONE_UPDATE, ListCharges, UpdateCharge
from bailiwick.resources.charges.search import SEARCHED, ChargeSearch
from bailiwick.resources.charges.stored import Charged
from bailiwick.resources.payments.placing import keep, seen
from bailiwick.resources.payments.shown.charge import charge, charge_view
from bailiwick.resources.payments.stored import check_owned
from bailiwick.resources.payments.stored import find as find_payment
from bailiwick.serving import lists
from bailiwick.serving.context import NodeContext
from bailiwick.serving.expansion import LOADED_BYTES_MAX
from bailiwick.serving.lists import Listed
from bailiwick.serving.params import Retrieve
from bailiwick.serving.route import (
    Mounted,
    Reader,
    Refusing,
    Request,
    Response,
)
from bailiwick.store.database import Store
from bailiwick.topology.merchants import Principal
from bailiwick.wire.forms import Params, struct_from


class ChargeList(Refusing):
    """/v1/charges"""

    async def on_get(self, request: Request, response: Response) -> None:
        """A page of charges."""
        await lists.answer(self.node, request, response, page)


class ChargeItem(Reader):
    """/v1/charges/{identifier}"""

    def __init__(self, node: NodeContext) -> None:
        super().__init__(node, retrieve)
        self._charges = Charges(node.machine)

    async def on_post(self, request: Request, response: Response, identifier: str) -> None:
        """Update what is noted on it."""
        asked, wish = await self.identified(
            request, RESOURCE, UpdateCharge, "update_charge", identifier, UNDONE_UPDATE
        )
        await self.answer(response, asked, lambda: self._charges.update(asked, identifier, wish))


async def page(
    node: NodeContext, who: Principal, params: Params, region: int, room: Room
) -> Listed:
    """GET /v1/charges"""
    query = struct_from(params, ListCharges)
    fill = lists.filling(node, query, RESOURCE, who, region)
    of = query.payment_intent
    merchant, livemode = who.merchant.id, who.livemode
    if of is not None:
        await check_owned(node.store, who, of)
    part = await lists.page_of(node, who, query, RESOURCE, room, here=of is not None)
    found, following = await stored.page(node.store, merchant, livemode, part, query.customer, of)
    keep(node, region, (payment.details.assignment for payment, _ in found))
    moved = await balance.of(node.store, (payment.id for payment, _ in found))

    def shown(row: Charged) -> Object:
        return _moved(charge(*row), moved)

    return await lists.paged(
        query,
        RESOURCE,
        room,
        found,
        following,
        shown,
        lambda row: row[1].id,
        fill,
    )


def _moved(it: Object, moved: Mapping[str, Sequence[str]]) -> Object:
    """A charge with what it did to the balance."""
    it["balance_transaction"] = next(iter(moved.get(it["id"], ())), None)
    return it


async def retrieve(node: NodeContext, who: Principal, identifier: str, params: Params) -> Object:
    """GET /v1/charges/{id}: an attempt to charge."""
    node.expansion.wished(struct_from(params, Retrieve).expand, RESOURCE.object)
    attempt = own(await attempt_store.find(node.store, identifier), who, "charge", identifier)
    if attempt.operation != "charge":
        raise ApiError.missing("charge", identifier)
    owner = await find_payment(node.store, attempt.subject)
    assert owner is not None, "an attempt is one of an order"
    moved = await balance.of(node.store, [owner.id])
    return _moved(charge(owner, charge_view(attempt)), moved)


async def load(store: Store, who: Owner, region: int, identifiers: Set[str]) -> dict[str, Object]:
    """Charges by their ids, as ``expand`` shows them; see ``serving.expansion.Load``."""
    rows = await store.rows("charge_some", sorted(identifiers), LOADED_BYTES_MAX)
    found = [stored.charged(list(row)) for row in rows]
    moved = await balance.of(store, (payment.id for payment, _ in found))
    return {view.id: _moved(charge(it, view), moved) for it, view in found if seen(it, who, region)}


LOADS = {"charge": load}


async def _its_payment(node: NodeContext, who: Principal, identifier: str) -> str | None:
    attempt = await attempt_store.find(node.store, identifier)
    return None if attempt is None else attempt.subject


PAYMENT_OF = {"ch": _its_payment}
"""By the prefix of an id, how the payment is found that an object belongs to."""


def routes(node: NodeContext) -> Iterable[Mounted]:
    """Where charges are served."""
    yield "/v1/charges", ChargeList(node, RESOURCE.paths[0]), ""
    yield SEARCHED.path, ChargeSearch(node, SEARCHED), ""
    yield "/v1/charges/{identifier}", ChargeItem(node), ""
