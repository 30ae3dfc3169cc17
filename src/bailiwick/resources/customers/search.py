"""Customers searched: https://docs.stripe.com/search#query-fields-for-customers.

Names, addresses and numbers are found whole: only terms of them are kept beside the customer, none
of their texts, and with the customer they go.
"""

import functools
from collections.abc import Callable, Sequence

from bailiwick.base.objects import Object
from bailiwick.records import records
from bailiwick.records.record import Record
from bailiwick.resources.customers import RESOURCE, render
from bailiwick.resources.customers.commands import show
from bailiwick.search.declared import Searchable
from bailiwick.search.language import Kind
from bailiwick.serving import placed_records
from bailiwick.serving.searches import Searcher, Shown

SEARCHED = Searchable(
    resource=RESOURCE,
    path="/v1/customers/search",
    fields={
        "created": Kind.NUMBER,
        "email": Kind.TOKEN,
        "metadata": Kind.TOKENS,
        "name": Kind.TOKEN,
        "phone": Kind.TOKEN,
    },
    fill="customer_search_fill",
)


class CustomerSearch(Searcher):
    """/v1/customers/search"""

    async def read(
        self, ids: list[str], wishes: list[str], bytes_most: int, region: int
    ) -> Sequence[Shown]:
        """Customers as they are now; who was deleted meanwhile is not among them."""
        store = self.node.store
        rows = await records.find_all(store, set(ids))
        found = [rows[each] for each in ids]
        placed_records.keep(self.node, region, found)
        defaults = {row.details.get("default_payment_method") for row in found if wishes} - {None}
        methods = await records.find_all(store, {str(each) for each in defaults})
        return [Shown(row.id, _showing(row, methods)) for row in found]


def _showing(row: Record, methods: dict[str, Record]) -> Callable[[], Object] | None:
    if not row.active:
        return None
    method = methods.get(row.details.get("default_payment_method", ""))
    default = None if method is None else show(method)
    return functools.partial(render.customer, row, default_method=default)
