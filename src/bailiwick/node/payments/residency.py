"""What must not be handled in another region: payments whose place had strict residency when they
were made. Their record says which nodes were allowed to have them."""

from collections.abc import Iterable
from typing import Any

from bailiwick.base.errors import ApiError
from bailiwick.base.tenancy import own
from bailiwick.interlink.regional import wrong_region
from bailiwick.node.service import Node
from bailiwick.store.rows import Payment
from bailiwick.topology.merchants import Principal


def must_stay(payment: Payment, region: int) -> bool:
    """Whether a payment may not be shown to, or changed through, the region of node ``region``; 0:
    of none."""
    return stays(payment.details.assignment, region)


def stays(assignment: dict[str, Any], region: int) -> bool:
    """The same of a payment that was assigned so."""
    if not region or assignment.get("residency") != "strict":
        return False
    return all(each["node"] != region for each in assignment["considered"])


def keep(node: Node, region: int, assignments: Iterable[dict[str, Any]]) -> None:
    """Raises ApiError (421) if a payment of one of these assignments must stay."""
    if region and any(stays(each, region) for each in assignments):
        here = node.world.topology.by_number.get(node.number)
        raise wrong_region("Some of these payments are read", "" if here is None else here.url)


async def owner(node: Node, who: Principal, identifier: str) -> Payment:
    """The payment that an object belongs to, whatever it is. Raises ApiError (404)."""
    store = node.store
    kind, _, _ = identifier.partition("_")
    payment: str | None = None
    if kind == "pi":
        payment = identifier
    elif kind == "re":
        refund = await store.refund(identifier)
        payment = None if refund is None else refund.payment
    elif kind == "ch":
        attempt = await store.attempt(identifier)
        payment = None if attempt is None else attempt.payment
    elif kind == "evt":
        event = await store.row("event_find", who.merchant.id, who.livemode, identifier)
        payment = None if event is None else event["payment"]
    if payment is None:
        raise ApiError.missing("object", identifier)
    return own(await store.payment(payment), who, "object", identifier)
