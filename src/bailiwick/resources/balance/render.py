"""Balances and balance transactions as API objects. Pure; shapes follow
https://docs.stripe.com/api/balance and https://docs.stripe.com/api/balance_transactions.

All that is booked is available at once: a movement is booked when the answer of its provider is
definite, and when a provider settles is known to nobody here. So nothing is ever pending.
"""

from collections.abc import Mapping

from bailiwick.base.objects import Object
from bailiwick.ledger.movements import seen
from bailiwick.resources.balance.stored import BalanceTransaction

REFERENCES: dict[str, dict[str, str]] = {"balance_transaction": {}}


def balance(sums: Mapping[str, int], livemode: bool) -> Object:
    """What a merchant is owed, by currency."""
    return {
        "object": "balance",
        "available": [_money(currency, sums[currency]) for currency in sorted(sums)],
        "livemode": livemode,
        "pending": [_money(currency, 0) for currency in sorted(sums)],
    }


def _money(currency: str, amount: int) -> Object:
    return {"amount": amount, "currency": currency.lower(), "source_types": {"card": amount}}


def balance_transaction(row: BalanceTransaction) -> Object:
    """What one movement did to a balance."""
    movement = seen(row.about, row.amount > 0)
    fees = [_fee(row)] if row.fee else []
    return {
        "id": row.id,
        "object": "balance_transaction",
        "amount": row.amount,
        "available_on": row.created_ms // 1000,
        "balance_type": "payments",
        "created": row.created_ms // 1000,
        "currency": row.currency.lower(),
        "description": None,
        "exchange_rate": None,
        "fee": row.fee,
        "fee_details": fees,
        "net": row.amount - row.fee,
        "reporting_category": movement.category,
        "source": row.source,
        "status": "available",
        "type": movement.type,
    }


def _fee(row: BalanceTransaction) -> Object:
    """What the provider has taken for it."""
    return {
        "amount": row.fee,
        "application": None,
        "currency": row.currency.lower(),
        "description": "Provider's fee",
        "type": "payment_method_passthrough_fee",
    }
