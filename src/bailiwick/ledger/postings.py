"""Double entry: which postings follow from which movement of money.

Accounts are named by what they stand for: ``receivable:<gateway>`` (a provider holds money for
us), ``transit:<gateway>`` (it is on its way from there to the merchant), ``merchant:<id>`` (we owe
it to the merchant), ``unexpected:<merchant>`` (money that came for a payment that had ended
without; a person decides). Which of them a movement debits and credits is said in ``movements.py``.
"""

import msgspec

from bailiwick.ledger.movements import MOVEMENTS


class Posting(msgspec.Struct, frozen=True):
    """A double entry: ``amount`` (positive minor units) to ``debit`` from ``credit``."""

    debit: str
    credit: str
    amount: int


def captured(gateway: str, merchant: str, amount: int) -> list[Posting]:
    """The provider took the payer's money."""
    return _posting("captured", gateway, merchant, amount)


def refunded(gateway: str, merchant: str, amount: int) -> list[Posting]:
    """The provider gave money back to the payer."""
    return _posting("refunded", gateway, merchant, amount)


def refund_returned(gateway: str, merchant: str, amount: int) -> list[Posting]:
    """A refund that had succeeded came back."""
    return _posting("refund_returned", gateway, merchant, amount)


def dispute_withdrawn(gateway: str, merchant: str, amount: int, fee: int = 0) -> list[Posting]:
    """The provider took a disputed amount, and its fee, out of what it holds for us."""
    fees = _posting("dispute_fee", gateway, merchant, fee) if fee else []
    return _posting("dispute_withdrawn", gateway, merchant, amount) + fees


def dispute_reinstated(gateway: str, merchant: str, amount: int, fee: int = 0) -> list[Posting]:
    """The provider gave both back: the dispute was won."""
    fees = _posting("dispute_fee_returned", gateway, merchant, fee) if fee else []
    return _posting("dispute_reinstated", gateway, merchant, amount) + fees


def unexpected(gateway: str, merchant: str, amount: int) -> list[Posting]:
    """Money was taken for an attempt that had ended without."""
    return _posting("unexpected", gateway, merchant, amount)


def payout_made(gateway: str, merchant: str, amount: int) -> list[Posting]:
    """A payout was permitted: its amount is no longer in the balance."""
    return _posting("payout_made", gateway, merchant, amount)


def payout_paid(gateway: str, merchant: str, amount: int) -> list[Posting]:
    """It arrived: the provider holds so much less for us."""
    return _posting("payout_paid", gateway, merchant, amount)


def payout_failed(gateway: str, merchant: str, amount: int) -> list[Posting]:
    """It definitely did not arrive: the balance has it again."""
    return _posting("payout_failed", gateway, merchant, amount)


def payout_canceled(gateway: str, merchant: str, amount: int) -> list[Posting]:
    """The provider canceled it: the balance has it again."""
    return _posting("payout_canceled", gateway, merchant, amount)


def payout_returned(gateway: str, merchant: str, amount: int) -> list[Posting]:
    """A bank sent it back after it had arrived."""
    return _posting("payout_returned", gateway, merchant, amount)


def payout_late(gateway: str, merchant: str, amount: int) -> list[Posting]:
    """It arrived after its amount had been given back."""
    return _posting("payout_late", gateway, merchant, amount)


def balance_account(merchant: str) -> str:
    """The account whose sum is what a merchant is owed."""
    return f"merchant:{merchant}"


def _posting(movement: str, gateway: str, merchant: str, amount: int) -> list[Posting]:
    if amount <= 0:
        raise ValueError("a posting moves a positive amount")
    debit, credit = _SIDES[movement]
    owners = {
        "receivable": gateway,
        "transit": gateway,
        "merchant": merchant,
        "unexpected": merchant,
    }
    return [Posting(f"{debit}:{owners[debit]}", f"{credit}:{owners[credit]}", amount)]


_SIDES = {name: (each.debit, each.credit) for name, each in MOVEMENTS.items()}
