"""Charges over HTTP."""

from collections.abc import Iterable

from bailiwick.base.errors import ApiError
from bailiwick.base.objects import Object
from bailiwick.base.tenancy import own
from bailiwick.orders import attempt_store
from bailiwick.resources.payments.render import charge, charge_view, payment_intent
from bailiwick.resources.payments.stored import find as find_payment
from bailiwick.serving.context import NodeContext
from bailiwick.serving.params import Retrieve
from bailiwick.serving.route import Mounted, Reader, check_expand
from bailiwick.topology.merchants import Principal
from bailiwick.wire.forms import Params, struct_from

EXPANDABLE = frozenset({"payment_intent"})


async def retrieve(node: NodeContext, who: Principal, identifier: str, params: Params) -> Object:
    """GET /v1/charges/{id}: an attempt to charge."""
    query = struct_from(params, Retrieve)
    check_expand(query.expand, EXPANDABLE)
    attempt = own(await attempt_store.find(node.store, identifier), who, "charge", identifier)
    if attempt.operation != "charge":
        raise ApiError.missing("charge", identifier)
    owner = await find_payment(node.store, attempt.subject)
    assert owner is not None, "an attempt is one of an order"
    shown = charge(owner, charge_view(attempt))
    if "payment_intent" in query.expand:
        shown["payment_intent"] = payment_intent(owner)
    return shown


async def _its_payment(node: NodeContext, who: Principal, identifier: str) -> str | None:
    attempt = await attempt_store.find(node.store, identifier)
    return None if attempt is None else attempt.subject


PAYMENT_OF = {"ch": _its_payment}
"""By the prefix of an id, how the payment is found that an object belongs to."""


def routes(node: NodeContext) -> Iterable[Mounted]:
    """Where charges are served."""
    yield "/v1/charges/{identifier}", Reader(node, retrieve), ""
