"""Double entry: which legs follow from which movement of money.

Accounts are named by what they stand for: ``receivable:<gateway>`` (a provider holds money for
us), ``merchant:<id>`` (we owe it to the merchant), ``unexpected:<merchant>`` (money that came
for a payment that had ended without; a person decides). A positive leg is a debit.
"""

from bailiwick.store.rows import Leg


def captured(gateway: str, merchant: str, amount: int) -> list[Leg]:
    """The provider took the payer's money."""
    return _pair(f"receivable:{gateway}", f"merchant:{merchant}", amount)


def refunded(gateway: str, merchant: str, amount: int) -> list[Leg]:
    """The provider gave money back to the payer."""
    return _pair(f"merchant:{merchant}", f"receivable:{gateway}", amount)


def refund_returned(gateway: str, merchant: str, amount: int) -> list[Leg]:
    """A refund that had succeeded came back."""
    return captured(gateway, merchant, amount)


def unexpected(gateway: str, merchant: str, amount: int) -> list[Leg]:
    """Money was taken for an attempt that had ended without."""
    return _pair(f"receivable:{gateway}", f"unexpected:{merchant}", amount)


def _pair(debit: str, credit: str, amount: int) -> list[Leg]:
    if amount <= 0:
        raise ValueError("a posting moves a positive amount")
    return [Leg(1, debit, amount), Leg(2, credit, -amount)]
