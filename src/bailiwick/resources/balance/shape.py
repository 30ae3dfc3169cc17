"""What balances and balance transactions look like to clients. Pure.

https://docs.stripe.com/api/balance and https://docs.stripe.com/api/balance_transactions.
"""

from typing import Literal

from bailiwick.serving.shapes import Currency, Second, Shape


class Money(Shape):
    """An amount of one currency; it may be negative."""

    amount: int
    currency: Currency
    source_types: dict[str, int]


class Balance(Shape):
    """What a merchant is owed, over all nodes."""

    object: Literal["balance"]
    available: list[Money]
    livemode: bool
    pending: list[Money]


class Fee(Shape):
    """What the provider has taken for a movement."""

    amount: int
    application: None
    currency: Currency
    description: str | None
    type: str


class BalanceTransaction(Shape):
    """A movement of money that changed a balance."""

    id: str
    object: Literal["balance_transaction"]
    amount: int
    available_on: Second
    balance_type: Literal["payments"]
    created: Second
    currency: Currency
    description: None
    exchange_rate: None
    fee: int
    fee_details: list[Fee]
    net: int
    reporting_category: str
    source: str
    status: Literal["available"]
    type: str


SHAPE = BalanceTransaction
ANSWERS = {"GET /v1/balance": Balance}
