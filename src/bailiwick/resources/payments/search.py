"""Payments searched: https://docs.stripe.com/search#query-fields-for-paymentintents."""

import functools
from collections.abc import Sequence

from bailiwick.resources.payments import RESOURCE, placing, render, stored
from bailiwick.search.declared import Searchable
from bailiwick.search.language import Kind
from bailiwick.serving.searches import Searcher, Shown

SEARCHED = Searchable(
    resource=RESOURCE,
    path="/v1/payment_intents/search",
    fields={
        "amount": Kind.NUMBER,
        "created": Kind.NUMBER,
        "currency": Kind.TOKEN,
        "customer": Kind.TOKEN,
        "metadata": Kind.TOKENS,
        "status": Kind.TOKEN,
    },
    fill="payment_search_fill",
    always=frozenset({"currency", "status"}),
)


class PaymentSearch(Searcher):
    """/v1/payment_intents/search"""

    async def read(self, ids: list[str], bytes_most: int, region: int) -> Sequence[Shown]:
        """Payments as they are now."""
        node = self.node
        rows = await node.store.rows("payment_some", ids, bytes_most)
        found = [stored.payment_of(row) for row in rows]
        placing.keep(node, region, (each.details.assignment for each in found))
        return [Shown(each.id, functools.partial(render.payment_intent, each)) for each in found]
