"""Mandates over HTTP."""

from collections.abc import Iterable
from typing import Any

from bailiwick.base.errors import ApiError
from bailiwick.base.objects import Object
from bailiwick.base.tenancy import own
from bailiwick.records import records
from bailiwick.resources.customers.commands import show
from bailiwick.resources.mandates import render
from bailiwick.resources.mandates.params import RetrieveMandate
from bailiwick.serving import route
from bailiwick.serving.context import NodeContext
from bailiwick.serving.route import Mounted, Reader
from bailiwick.topology.merchants import Principal
from bailiwick.wire.forms import Params, struct_from

EXPANDABLE = frozenset({"payment_method"})


async def retrieve(node: NodeContext, who: Principal, identifier: str, params: Params) -> Object:
    """GET /v1/mandates/{id}"""
    query = struct_from(params, RetrieveMandate)
    route.check_expand(query.expand, EXPANDABLE)
    row = own(await records.find(node.store, identifier), who, "mandate", identifier)
    if row.erased or not row.id.startswith("mandate_"):
        raise ApiError.missing("mandate", identifier)
    method = None
    if query.expand:
        method = await records.find(node.store, row.details["payment_method"])
    return render.mandate(row, payment_method=None if method is None else show(method))


async def _itself(node: NodeContext, who: Principal, identifier: str) -> Any:
    return identifier


PAYMENT_OF = {"mandate": _itself}
"""By the prefix of an id, how that is found which says where it must stay."""


def routes(node: NodeContext) -> Iterable[Mounted]:
    """Where mandates are served."""
    yield "/v1/mandates/{identifier}", Reader(node, retrieve), ""
