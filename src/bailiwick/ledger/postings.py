"""Double entry: which postings follow from which movement of money.

Accounts are named by what they stand for: ``receivable:<gateway>`` (a provider holds money for
us), ``merchant:<id>`` (we owe it to the merchant), ``unexpected:<merchant>`` (money that came
for a payment that had ended without; a person decides).
"""

import msgspec


class Posting(msgspec.Struct, frozen=True):
    """A double entry: ``amount`` (positive minor units) to ``debit`` from ``credit``."""

    debit: str
    credit: str
    amount: int


def captured(gateway: str, merchant: str, amount: int) -> list[Posting]:
    """The provider took the payer's money."""
    return _posting(f"receivable:{gateway}", f"merchant:{merchant}", amount)


def refunded(gateway: str, merchant: str, amount: int) -> list[Posting]:
    """The provider gave money back to the payer."""
    return _posting(f"merchant:{merchant}", f"receivable:{gateway}", amount)


def refund_returned(gateway: str, merchant: str, amount: int) -> list[Posting]:
    """A refund that had succeeded came back."""
    return captured(gateway, merchant, amount)


def unexpected(gateway: str, merchant: str, amount: int) -> list[Posting]:
    """Money was taken for an attempt that had ended without."""
    return _posting(f"receivable:{gateway}", f"unexpected:{merchant}", amount)


def _posting(debit: str, credit: str, amount: int) -> list[Posting]:
    if amount <= 0:
        raise ValueError("a posting moves a positive amount")
    return [Posting(debit, credit, amount)]
