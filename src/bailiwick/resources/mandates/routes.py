"""Mandates over HTTP."""

from collections.abc import Iterable, Set
from typing import Any

from bailiwick.base.errors import ApiError
from bailiwick.base.objects import Object
from bailiwick.base.tenancy import Owner, own
from bailiwick.records import records
from bailiwick.resources.mandates import render
from bailiwick.resources.mandates.params import RetrieveMandate
from bailiwick.serving import placed_records
from bailiwick.serving.context import NodeContext
from bailiwick.serving.route import Mounted, Reader
from bailiwick.store.database import Store
from bailiwick.topology.merchants import Principal
from bailiwick.wire.forms import Params, struct_from


async def retrieve(node: NodeContext, who: Principal, identifier: str, params: Params) -> Object:
    """GET /v1/mandates/{id}"""
    struct_from(params, RetrieveMandate)
    row = own(await records.find(node.store, identifier), who, "mandate", identifier)
    if row.erased or not row.id.startswith("mandate_"):
        raise ApiError.missing("mandate", identifier)
    return render.mandate(row)


async def load(store: Store, who: Owner, region: int, identifiers: Set[str]) -> dict[str, Object]:
    """Mandates by their ids, as ``expand`` shows them; see ``serving.expansion.Load``."""
    found = await placed_records.seen(store, who, region, "mandate", identifiers)
    return {it.id: render.mandate(it) for it in found}


LOADS = {"mandate": load}


async def _itself(node: NodeContext, who: Principal, identifier: str) -> Any:
    return identifier


PAYMENT_OF = {"mandate": _itself}
"""By the prefix of an id, how that is found which says where it must stay."""


def routes(node: NodeContext) -> Iterable[Mounted]:
    """Where mandates are served."""
    yield "/v1/mandates/{identifier}", Reader(node, retrieve), ""
