"""What requests about balances may carry: one struct per route, checked at the edge.

Names and meanings follow https://docs.stripe.com/api/balance and
https://docs.stripe.com/api/balance_transactions.
"""

import msgspec

from bailiwick.serving.params import Expand, ListQuery, Text


class RetrieveBalance(msgspec.Struct, frozen=True):
    """GET /v1/balance"""

    expand: Expand = []


class ListBalanceTransactions(ListQuery, frozen=True):
    """GET /v1/balance_transactions"""

    currency: Text | None = None
    payout: Text | None = None
    source: Text | None = None
    type: Text | None = None
