"""Customers searched: https://docs.stripe.com/search#query-fields-for-customers.

Names, addresses and numbers are found whole: only terms of them are kept beside the customer, none
of their texts, and with the customer they go.
"""

import functools
from collections.abc import Sequence

from bailiwick.records import records
from bailiwick.resources.customers import RESOURCE, render
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

    async def read(self, ids: list[str], bytes_most: int, region: int) -> Sequence[Shown]:
        """Customers as they are now; who was deleted meanwhile is not among them."""
        rows = await records.find_all(self.node.store, set(ids))
        found = [rows[each] for each in ids]
        placed_records.keep(self.node, region, found)
        return [
            Shown(row.id, functools.partial(render.customer, row) if row.active else None)
            for row in found
        ]
