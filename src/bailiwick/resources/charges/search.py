"""Charges searched: https://docs.stripe.com/search#query-fields-for-charges.

Of the documented fields those of cards, billing addresses and disputes are not there: charges do
not show them.
"""

import functools
from collections.abc import Sequence

from bailiwick.resources.charges import RESOURCE, stored
from bailiwick.resources.payments import placing
from bailiwick.resources.payments.shown.charge import charge
from bailiwick.search.declared import Searchable
from bailiwick.search.language import Kind
from bailiwick.serving.searches import Searcher, Shown

SEARCHED = Searchable(
    resource=RESOURCE,
    path="/v1/charges/search",
    fields={
        "amount": Kind.NUMBER,
        "created": Kind.NUMBER,
        "currency": Kind.TOKEN,
        "customer": Kind.TOKEN,
        "metadata": Kind.TOKENS,
        "refunded": Kind.TOKEN,
        "status": Kind.TOKEN,
    },
    fill="charge_search_fill",
    always=frozenset({"currency", "refunded", "status"}),
)


class ChargeSearch(Searcher):
    """/v1/charges/search"""

    async def read(self, ids: list[str], bytes_most: int, region: int) -> Sequence[Shown]:
        """Charges as they are now."""
        rows = await self.node.store.rows("charge_some", ids, bytes_most)
        found = [stored.charged(list(row)) for row in rows]
        placing.keep(self.node, region, (payment.details.assignment for payment, _ in found))
        return [Shown(view.id, functools.partial(charge, payment, view)) for payment, view in found]
